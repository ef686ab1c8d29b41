/** The commands on diffusers pipeline directories. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readPngText } from "../../src/image/png_text.ts";
import { pipelineFiles } from "../engine/pipeline_files.ts";
import { capturedRun, namesIn, withFolder } from "./captured_run.ts";

const WASM = ["--backend", "wasm", "--threads", "1"];
const LAYERS = new URL("../golden/books/dit-a-layers/cache_books.json", import.meta.url).pathname;

/** The golden pipeline on disk. */
async function withPipeline(
  use: (paths: { readonly model: string; readonly folder: string }) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const model = `${folder}/tiny`;
    for (const [path, bytes] of await pipelineFiles()) {
      await Deno.mkdir(`${model}/${path}/..`, { recursive: true });
      await Deno.writeFile(`${model}/${path}`, bytes);
    }
    await use({ model, folder });
  });
}

Deno.test("generate draws a pipeline's picture, by its scheduler or the original's sampler", async () => {
  await withPipeline(async ({ model, folder }) => {
    const common = ["generate", "--model", model, "--label", "class 3", "--steps", "4", ...WASM];
    const pictures: Uint8Array[] = [];
    for (const sampler of [[], ["--sampler", "original"]]) {
      const out = `${folder}/${pictures.length}.png`;
      const { code, stderr } = await capturedRun(...common, ...sampler, "--out", out);
      assertEquals(code, 0, stderr);
      pictures.push(await Deno.readFile(out));
      const again = `${folder}/again.png`;
      const words = ["generate", "--model", model, "--from", out, "--out", again, ...WASM];
      assertEquals((await capturedRun(...words)).code, 0);
      assertEquals(await Deno.readFile(again), pictures.at(-1)); // the record names the sampler
    }
    const [scheduled, original] = pictures;
    assert(`${scheduled}` !== `${original}`);
    const [theirs, ours] = pictures.map((png) => JSON.parse(readPngText(png)["invardiff"]!));
    assertEquals([theirs.sampler, ours.sampler], [undefined, "original"]);
    const view = new DataView(scheduled!.buffer);
    assertEquals([view.getUint32(16), view.getUint32(20)], [128, 128]); // 32 × 32, grown to be seen
    const strange = await capturedRun(...common, "--sampler", "theirs", "--out", `${folder}/a.png`);
    assertEquals(strange.code, 2);
    assertMatch(
      strange.stderr,
      /sampler must be one of \d+ names such as .*: current value is theirs/,
    );
  });
});

Deno.test("a published book binds to a pipeline for the original's sampler, and is compared on pictures", async () => {
  await withPipeline(async ({ model, folder }) => {
    const plan = `${folder}/p.json`;
    const imported = await capturedRun(
      ...["plan", "import", LAYERS, "--steps", "20", "--model", model, "--out", plan],
    );
    assertEquals([imported.code, imported.stdout], [0, `wrote ${plan} (bound)\n`], imported.stderr);
    const compare = ["compare", "--model", model, "--plan", plan, "--count", "1", ...WASM];
    const misfit = await capturedRun(...compare, "--rounds", "1");
    assertEquals(misfit.code !== 0, true);
    assertStringIncludes(misfit.stderr, "time of step 0 must be 999: current value is 950");
    const { code, stdout, stderr } = await capturedRun(
      ...[...compare, "--sampler", "original", "--rounds", "1", "--out", `${folder}/sheet.png`],
    );
    assertEquals(code, 0, stderr);
    assertMatch(stdout, /^SSIM +[01]\.\d+ on average/m);
  });
});

Deno.test("a packed pipeline keeps its autoencoder, and draws what rounding at load draws", async () => {
  await withPipeline(async ({ model, folder }) => {
    const packed = `${folder}/packed`;
    const { code, stderr } = await capturedRun("pack", "--model", model, "--out", packed);
    assertEquals(code, 0, stderr);
    assertEquals(namesIn(`${packed}/vae`), ["config.json", "diffusion_pytorch_model.safetensors"]);
    const common = ["--label", "class 3", "--steps", "3", ...WASM];
    const pictures: Uint8Array[] = [];
    for (const words of [["--model", packed], ["--model", model, "--weights", "int8"]]) {
      const out = `${folder}/${pictures.length}.png`;
      const drawn = await capturedRun("generate", ...words, ...common, "--out", out);
      assertEquals(drawn.code, 0, drawn.stderr);
      pictures.push(await Deno.readFile(out));
    }
    const [ours, theirs] = pictures.map((png) => png.slice(-2000)); // texts name the model
    assertEquals(ours, theirs);
  });
});
