/** The code beside a picture, run as it stands: by curl, OpenAI's client and our library it draws the same bytes. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright-core";
import { encodePng } from "../../src/image/png.ts";
import { requires } from "../_shim/requires.ts";
import { ROOT } from "../_shim/watched.ts";
import {
  download,
  openPage,
  openSettings,
  PEEPS,
  pngOf,
  untilStatus,
  visit,
} from "./page_fixture.ts";

const needs = await requires("the code of pictures", "chromium", "bundler");
const KEY = "a-key-of-sixteen-letters";
const LANGUAGES = ["curl", "openai", "library"] as const;

/** Files that a visitor has beside the code, by name. */
type Files = Readonly<Record<string, Uint8Array>>;

Deno.test("the code of a picture draws its very bytes", needs, async () => {
  await visit({}, async (opened) => {
    const { page } = opened;
    await openPage(opened);
    await page.getByText("Bag", { exact: true }).click();
    await page.locator("#seed").fill("77");
    await page.locator("label", { hasText: "8x" }).click();
    await page.locator("#generate").click();
    await untilStatus(page, /^6 steps in /);
    await expectSameBytes(page, {});
  });
});

Deno.test(
  "the code on a server with keys takes one from the environment, edits too",
  needs,
  async () => {
    await visit({ app: { apiKeys: [KEY] } }, async ({ page, url }) => {
      await page.goto(url);
      await page.locator("#key").fill(KEY);
      await page.keyboard.press("Enter");
      await page.locator("#generate:enabled").waitFor();
      await openSettings(page);
      await page.locator("#seed").fill("5");
      await page.locator("#steps").fill("3");
      await drawnNow(page);
      await expectSameBytes(page, {});
      const begun = await pngOf(page);
      await page.locator("#begin").click();
      await page.locator("#strength").fill("0.7");
      await drawnNow(page);
      await expectSameBytes(page, { "begin.png": begun });
      await page.locator("#mask-field summary").click();
      const buffer = Buffer.from(await halfMask());
      await page.locator("#mask-file").setInputFiles({
        name: "half.png",
        mimeType: "image/png",
        buffer,
      });
      await page.locator("#mask-share", { hasText: /^50 % of it is drawn anew\.$/ }).waitFor();
      await drawnNow(page);
      const { bytes: mask } = await download(page, "#save-mask");
      const code = await expectSameBytes(page, { "begin.png": begun, "mask.png": mask });
      for (const text of code) assert(!text.includes(KEY), text); // it is nobody's to see
    });
  },
);

Deno.test(
  "the code of a prompt holds whatever is in it, a negative prompt and a solver",
  needs,
  async () => {
    const threads = navigator.hardwareConcurrency; // as many as the library takes
    await visit({ model: PEEPS, threads }, async (opened) => {
      const { page } = opened;
      await openPage(opened);
      await openSettings(page);
      const prompt = `a person's "curly" hair, $HOME \`id\` \\n & <b>`;
      await page.locator("#prompt").fill(prompt);
      await page.locator("#seed").fill("4");
      await page.locator("#steps").fill("2");
      await page.locator("#negative").fill("it's sunglasses");
      await page.locator("#sampler").selectOption("flow-unipc");
      await drawnNow(page);
      const [curl] = await expectSameBytes(page, {});
      assertStringIncludes(curl!, "flow-unipc");
    });
  },
);

/** Presses Generate and waits for the picture. */
async function drawnNow(page: Page): Promise<void> {
  await page.locator("#generate").click();
  await page.locator("#stage[data-phase=finished]").waitFor();
  await page.locator("#generate:enabled").waitFor();
}

/** Runs the code of the stage's picture in every language; the codes. */
async function expectSameBytes(page: Page, files: Files): Promise<readonly string[]> {
  const wanted = await pngOf(page);
  await page.evaluate("document.querySelector('#code').open = true");
  const codes: string[] = [];
  for (const language of LANGUAGES) {
    await page.locator("#code label", { has: page.locator(`[value=${language}]`) }).click();
    const code = await page.locator("#snippet").innerText();
    const drawn = await drawnBy(code, { language, files });
    const isSame = drawn.length === wanted.length && drawn.every((byte, i) => byte === wanted[i]);
    assert(isSame, `${language}: ${drawn.length} bytes for ${wanted.length}\n${code}`);
    codes.push(code);
  }
  return codes;
}

/** Runs code in a folder of the project, where its imports are known, and gives the picture that it writes. */
async function drawnBy(
  code: string,
  { language, files }: { readonly language: string; readonly files: Files },
): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir({ dir: new URL("dist/", ROOT).pathname });
  try {
    await Deno.symlink(new URL("models", ROOT), `${folder}/models`);
    await Deno.writeTextFile(`${folder}/snippet.mjs`, code);
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    const config = new URL("deno.json", ROOT).pathname;
    const run = ["run", "-A", "--quiet", "--no-lock", "--config", config, `${folder}/snippet.mjs`];
    const [program, args] = language === "curl" ? ["bash", ["-ec", code]] : [Deno.execPath(), run];
    const options = { args: args as string[], cwd: folder, env: { INVARDIFF_API_KEY: KEY } };
    const { success, stderr } = await new Deno.Command(program as string, options).output();
    assert(success, new TextDecoder().decode(stderr));
    const pictures = [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => name.endsWith(".png") && files[name] === undefined);
    assertEquals(pictures.length, 1);
    return await Deno.readFile(`${folder}/${pictures[0]}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A mask of the small model's size, whose left half is transparent: drawn anew. */
async function halfMask(): Promise<Uint8Array> {
  const pixels = Uint8Array.from(
    { length: 32 * 32 * 4 },
    (_, i) => i % 4 === 3 && Math.floor(i / 4) % 32 < 16 ? 0 : 255,
  );
  return await encodePng({ width: 32, height: 32, channels: 4, pixels });
}
