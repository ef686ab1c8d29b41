/** What `generate` does where nothing names a model. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decode } from "fast-png";
import { EMBEDDED_MODEL } from "../../src/engine/embedded_model.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { capturedRun, withFolder } from "./captured_run.ts";

const WASM = ["--backend", "wasm"];
/** One step of all, for time's sake. */
const SHORT = [...WASM, "--steps", "1", "--plan", "none"];

Deno.test("generate without a prompt draws the eight examples of the embedded model, and says which is which", async () => {
  await withFolder(async (folder) => {
    const out = `${folder}/out.png`;
    const { code, stdout, stderr } = await capturedRun("generate", ...SHORT, "--out", out);
    assertEquals(code, 0, stderr);
    const { prompts: { examples } } = JSON.parse(
      await Deno.readTextFile(new URL("model.json", EMBEDDED_MODEL)),
    );
    assertEquals(examples.length, 8);
    for (const [i, example] of examples.entries()) {
      assertStringIncludes(stdout, `\npicture ${i + 1}    ${JSON.stringify(example)}\n`);
    }
    assertMatch(stdout, /\nwrote \S+out\.png \(8 pictures, 128 × 128\)\n$/);
    const png = await Deno.readFile(out);
    const { width, height, channels } = decode(png);
    assertEquals([width, height, channels], [4 * 128 + 3 * 4, 2 * 128 + 4, 3]); // gaps of four
    const { prompts } = JSON.parse(readPngText(png)["invardiff"]!);
    assertEquals(prompts, examples.map((prompt: string) => ({ prompt })));
  });
});

Deno.test("a label is answered with the prompt that says the same, and with the model that takes it", async () => {
  await withFolder(async (folder) => {
    const label = ["--label", "Sneaker", "--out", `${folder}/out.png`];
    const { code, stdout, stderr } = await capturedRun("generate", ...SHORT, ...label);
    assertEquals([code, stdout], [2, ""]);
    assertEquals(
      stderr,
      "error: Cannot generate: peeps-flux knows words and no classes (models/fashion-dit has classes: " +
        '--model models/fashion-dit); prompt instead of label must be such as "Sneaker": ' +
        "current value is Sneaker\n",
    );
    const model = ["--model", FASHION_DIT.pathname];
    assertEquals((await capturedRun("generate", ...SHORT, ...label, ...model)).code, 0);
  });
});
