/** Pictures from pictures on the command line. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readPngText } from "../../src/image/png_text.ts";
import { onFashionDit } from "../fashion_dit.ts";
import { type CapturedRun, capturedRun, withFolder } from "./captured_run.ts";

const PICTURES = new URL("../golden/pictures/", import.meta.url).pathname;
const [JPEG, PNG, WEBP, MASK] = ["plain.jpg", "source.png", "lossless.webp", "mask.png"]
  .map((name) => `${PICTURES}${name}`) as [string, string, string, string]; // as many

function generate(...words: readonly string[]): Promise<CapturedRun> {
  const backend = ["--backend", "wasm", "--threads", "1"];
  return capturedRun("generate", ...onFashionDit([...words, ...backend]));
}

const RUN = ["--label", "Bag", "--steps", "4", "--plan", "none", "--seed", "3"];

Deno.test("generate begins from a picture, says what it did to it, and --from asks for the same", async () => {
  await withFolder(async (folder) => {
    const [one, two] = [`${folder}/one.png`, `${folder}/two.png`];
    const edit = ["--image", PNG, "--mask", MASK, "--strength", "0.5"];
    const first = await generate(...RUN, ...edit, "--out", one, "--json");
    assertEquals(first.code, 0, first.stderr);
    const notice =
      "The image of 48 × 36 was cropped to 36 × 36 around its centre and resized to 32 × 32.";
    const { edit: told, steps, notices } = JSON.parse(first.stdout);
    assertEquals(notices, [notice]);
    const record = JSON.parse(readPngText(await Deno.readFile(one))["invardiff"]!);
    assertEquals([record.edit, record.edit.strength, steps], [told, 0.5, 4]);

    const files = ["--image", WEBP, "--mask", MASK]; // the same pixels in another file
    const again = await generate("--from", one, ...files, "--out", two);
    assertEquals(again.code, 0, again.stderr);
    assertStringIncludes(again.stderr, notice);
    assertEquals(await Deno.readFile(two), await Deno.readFile(one));

    const lacking = await generate("--from", one, "--out", two);
    assertEquals(lacking.code, 3);
    assertStringIncludes(
      lacking.stderr,
      `its image must be that of ${told.image} (give it by --image): current value is none`,
    );
    const other = await generate("--from", one, "--image", PNG, "--mask", PNG, "--out", two);
    assertEquals(other.code, 3);
    assertStringIncludes(other.stderr, `its mask must be that of ${told.mask} (give it by --mask)`);
  });
});

Deno.test("generate reads a JPEG, and more strength leaves less of it", async () => {
  await withFolder(async (folder) => {
    const written: Uint8Array[] = [];
    for (const strength of [["--strength", "0.25"], ["--strength", "1"], []]) {
      const out = `${folder}/out.png`;
      const { code, stderr } = await generate(...RUN, "--image", JPEG, ...strength, "--out", out);
      assertEquals(code, 0, stderr);
      assertStringIncludes(stderr, `step ${strength[1] === "1" ? 4 : strength[1] ? 1 : 3}/`);
      written.push(await Deno.readFile(out));
    }
    assert(new Set(written.map((file) => `${file}`)).size === 3);
  });
});

Deno.test("generate refuses what is no picture, too much strength, and a mask alone", async () => {
  await withFolder(async (folder) => {
    const gif = `${folder}/cat.gif`;
    await Deno.writeTextFile(gif, "GIF89a and so on");
    const cases = [
      [
        ["--image", gif],
        3,
        `${gif}: Cannot read picture: it must be PNG, JPEG or WebP: current value is GIF`,
      ],
      [["--image", `${folder}/none.png`], 3, `Cannot read ${folder}/none.png`],
      [["--image", PNG, "--strength", "1.5"], 2, "strength must be above 0 and at most 1"],
      [["--image", PNG, "--strength", "0"], 2, "--strength must be a number above 0"],
      [["--mask", MASK], 2, "mask must be given together with an image"],
      [["--image", PNG, "--mask", `${PICTURES}read/turned.jpg.png`], 2, "mask must be 48 × 36"],
    ] as const;
    for (const [words, code, why] of cases) {
      const { stderr, ...run } = await generate(...RUN, ...words, "--out", `${folder}/no.png`);
      assertEquals(run.code, code, stderr);
      assertStringIncludes(stderr, why);
    }
  });
});
