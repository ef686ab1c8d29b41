import { assertEquals, assertRejects } from "@std/assert";
import { openPipeline } from "../../src/engine/pipeline.ts";
import { AssetError } from "../../src/errors.ts";
import { openModel } from "../../src/model/model.ts";
import { unpack } from "../../src/model/flux_scene.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { fluxPipelineFiles, pipelineFiles } from "./pipeline_files.ts";
import { withExecutor } from "./small_vae.ts";

Deno.test("a pipeline decodes its latents with the directory's autoencoder, and frees it", async () => {
  const latents = normalNoise([2, 4, 8, 8], 3);
  const pipeline = await openPipeline({ backend: "wasm", model: await pipelineFiles() });
  const pictures = await pipeline.decode(latents);
  const look = await pipeline.preview(latents);
  await pipeline.close();
  assertEquals(pipeline.backend.live, { values: 0, sessions: 0 });
  await withExecutor({ name: "vae", provider: "wasm" }, async (executor) => {
    assertEquals(pictures, await executor.decode(latents));
    assertEquals(look, await executor.preview(latents));
  });
});

Deno.test("packed latents are decoded on their grid", async () => {
  const packed = normalNoise([1, 24, 16], 3);
  const pipeline = await openPipeline({ backend: "wasm", model: await fluxPipelineFiles() });
  const grid = [6, 4] as const;
  const pictures = await pipeline.decode(packed, { grid });
  assertEquals(pictures.dims, [1, 3, 48, 32]);
  await assertRejects(() => pipeline.decode(packed), RangeError, "grid must be of 24 tokens");
  await pipeline.close();
  await withExecutor({ name: "vae", provider: "wasm" }, async (executor) => {
    assertEquals(pictures, await executor.decode(unpack(packed, grid)));
  });
});

Deno.test("latents that are pixels are their own pictures; others without an autoencoder are refused", async () => {
  const embedded = await openPipeline({ backend: "wasm" });
  const pixels = normalNoise([1, 1, 32, 32], 3);
  assertEquals(await embedded.decode(pixels), pixels);
  assertEquals(await embedded.preview(pixels), pixels);
  await embedded.close();
  const files = await pipelineFiles({ "model_index.json": { vae: [null, null] } });
  const blind = await openPipeline({ backend: "wasm", model: files });
  const latents = normalNoise([1, 4, 8, 8], 3);
  for (const way of ["decode", "preview"] as const) {
    await assertRejects(() => blind[way](latents), RangeError, "others need an autoencoder");
  }
  await blind.close();
});

Deno.test("an autoencoder for other latents is refused when the directory is opened", async () => {
  const files = await pipelineFiles();
  for (const name of ["config.json", "diffusion_pytorch_model.safetensors"]) {
    const url = new URL(`../golden/dit-a-diffusers/vae-16/${name}`, import.meta.url);
    files.set(`vae/${name}`, await Deno.readFile(url));
  }
  await assertRejects(
    () => openModel(files),
    AssetError,
    "its vae must have 4 latent channels, as the transformer has: current value is 16",
  );
});
