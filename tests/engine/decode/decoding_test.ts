import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { estimateMemory } from "../../../src/engine/memory/report.ts";
import { openBackend } from "../../../src/backend/select.ts";
import { Decoding } from "../../../src/engine/decode/decoding.ts";
import { paintLatents } from "../../../src/engine/decode/latent_colours.ts";
import { openEngine } from "../../../src/engine/engine.ts";
import { AssetError } from "../../../src/errors.ts";
import { openModel } from "../../../src/model/open_model.ts";
import { unpack } from "../../../src/model/flux/scene.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import { fluxPipelineFiles, pipelineFiles } from "../pipeline_files.ts";
import { openLocalRenderer } from "../../../src/worker/local_renderer.ts";
import * as vaes from "../../../src/engine/decode/vae.ts";
import { interfere } from "../small_model.ts";
import { vaeFiles, withGraphs } from "./small_vae.ts";
import { FASHION_DIT } from "../../fashion_dit.ts";

Deno.test("a pipeline decodes its latents with the directory's autoencoder, and frees it", async () => {
  const latents = normalNoise([2, 4, 8, 8], 3);
  const pipeline = await openEngine({ backend: "wasm", model: await pipelineFiles() });
  const pictures = await pipeline.decode(latents);
  const look = await pipeline.preview(latents);
  await pipeline.close();
  assertEquals(pipeline.backend.live, { values: 0, sessions: 0 });
  await withGraphs({ name: "vae", provider: "wasm" }, async (graphs) => {
    assertEquals(pictures, await vaes.decode(graphs, latents));
    assertEquals(look, paintLatents(await vaes.fitPreview(graphs), latents));
  });
});

Deno.test("preview() fits its map once, always the same one, and keeps colours within [-1, 1]", async () => {
  const model = await openModel(await pipelineFiles());
  const { backend } = await openBackend({ backend: "wasm" });
  let runs = 0;
  const decoding = new Decoding(model, interfere(backend, { onRun: () => runs++ }));
  const latents = normalNoise([2, 4, 5, 7], 9);
  const preview = await decoding.preview(latents);
  assertEquals(preview.dims, [2, 3, 5, 7]);
  assert(preview.data.every((value) => value >= -1 && value <= 1));
  const fitted = runs;
  assert(fitted > 0);
  assertEquals(await decoding.preview(latents), preview);
  assertEquals(runs, fitted);
  const again = new Decoding(model, backend);
  assertEquals(await again.preview(latents), preview);
  await assertRejects(
    () => again.preview(normalNoise([1, 16, 2, 2], 1)),
    RangeError,
    "Cannot preview latents: they must be (N, 4, H, W): current value is [1,16,2,2]",
  );
  await again.dispose();
  await decoding.dispose();
  assertEquals(backend.live, { values: 0, sessions: 0 });
  await backend.dispose();
});

Deno.test("packed latents are decoded on their grid", async () => {
  const packed = normalNoise([1, 24, 16], 3);
  const pipeline = await openEngine({ backend: "wasm", model: await fluxPipelineFiles() });
  const grid = [6, 4] as const;
  const pictures = await pipeline.decode(packed, { grid });
  assertEquals(pictures.dims, [1, 3, 48, 32]);
  await assertRejects(() => pipeline.decode(packed), RangeError, "grid must be of 24 tokens");
  await pipeline.close();
  await withGraphs({ name: "vae", provider: "wasm" }, async (graphs) => {
    assertEquals(pictures, await vaes.decode(graphs, unpack(packed, grid)));
  });
});

Deno.test("latents that are pixels are their own pictures; others without an autoencoder are refused", async () => {
  const fashion = await openEngine({ model: FASHION_DIT, backend: "wasm" });
  const pixels = normalNoise([1, 1, 32, 32], 3);
  assertEquals(await fashion.decode(pixels), pixels);
  assertEquals(await fashion.preview(pixels), pixels);
  await fashion.close();
  const files = await pipelineFiles({ "model_index.json": { vae: [null, null] } });
  const blind = await openEngine({ backend: "wasm", model: files });
  const latents = normalNoise([1, 4, 8, 8], 3);
  for (const way of ["decode", "preview"] as const) {
    await assertRejects(() => blind[way](latents), RangeError, "others need an autoencoder");
  }
  await blind.close();
});

/** Pipelines whose autoencoder cannot be used, and why. */
const UNUSABLE: readonly (readonly [string, () => Promise<Map<string, Uint8Array>>, string])[] = [
  [
    "of another class",
    () => pipelineFiles({ "vae/config.json": { _class_name: "AutoencoderKLWan", z_dim: 16 } }),
    'Cannot read config.json of the VAE: _class_name must be "AutoencoderKL" or "AutoencoderTiny": ' +
    'current value is "AutoencoderKLWan"',
  ],
  [
    "that asks for more than is computed",
    () => pipelineFiles({ "vae/config.json": { act_fn: "mish" } }),
    'Cannot read config.json of the VAE: act_fn must be "silu" or "swish": current value is "mish"',
  ],
  [
    "for other latents",
    async () => new Map([...await pipelineFiles(), ...await vaeFiles("vae-16")]),
    "its vae must have 4 latent channels, as the transformer has: current value is 16",
  ],
  [
    "that is not there",
    async () => new Map([...await pipelineFiles()].filter(([path]) => !path.startsWith("vae/"))),
    "it must have config.json",
  ],
];

for (const [which, files, message] of UNUSABLE) {
  Deno.test(`an autoencoder ${which} is refused only when pictures are wanted`, async () => {
    const model = await files();
    const pipeline = await openEngine({ backend: "wasm", model });
    const { latents } = await pipeline.generate({ labels: [1], steps: 1 });
    assertEquals(latents.dims, [1, 4, 8, 8]);
    for (const way of ["decode", "preview"] as const) {
      await assertRejects(() => pipeline[way](latents), AssetError, message);
    }
    await pipeline.close();
    await assertRejects(() => openLocalRenderer({ backend: "wasm", model }), AssetError, message);
    const report = await estimateMemory({ model });
    assertStringIncludes(report.decodingError ?? "", message);
  });
}

Deno.test("a pipeline draws with a tiny autoencoder, and with one without attention", async () => {
  for (const name of ["tiny", "no-attention"] as const) {
    const model = new Map([...await pipelineFiles(), ...await vaeFiles(name)]);
    const pipeline = await openEngine({ backend: "wasm", model });
    const latents = normalNoise([1, 4, 8, 8], 3);
    const picture = await pipeline.decode(latents);
    assertEquals(picture.dims, [1, 3, 16, 16]);
    assertEquals((await estimateMemory({ model })).decodingError, undefined);
    await pipeline.close();
    await withGraphs({ name, provider: "wasm" }, async (graphs) => {
      assertEquals(picture, await vaes.decode(graphs, latents));
    });
  }
});
