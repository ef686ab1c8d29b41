import { assertEquals } from "@std/assert";
import { openModel } from "../../../src/model/open_model.ts";
import { fluxPipelineFiles } from "../../engine/pipeline_files.ts";

/** Own grid, latent and grid of a scene of a FLUX whose autoencoder was made for pictures of this side. */
async function sizesOf(sampleSize: unknown): Promise<readonly (readonly number[] | undefined)[]> {
  const files = await fluxPipelineFiles();
  const name = "vae/config.json"; // 4 pixels for each latent's
  const config: object = JSON.parse(new TextDecoder().decode(files.get(name)));
  const json = JSON.stringify({ ...config, sample_size: sampleSize });
  const model = await openModel(new Map(files).set(name, new TextEncoder().encode(json)));
  const { tokenGrid, latent, scene } = model;
  await model.close();
  return [tokenGrid, latent, scene({}).tokenGrid, scene({ grid: [2, 3] }).tokenGrid];
}

Deno.test("a FLUX draws pictures of the size that its autoencoder was made for, unless asked", async () => {
  assertEquals(await sizesOf(256), [[32, 32], [4, 64, 64], [32, 32], [2, 3]]);
  assertEquals(await sizesOf(64), [[8, 8], [4, 16, 16], [8, 8], [2, 3]]);
});

Deno.test("a FLUX whose autoencoder says no size, or none that tokens fill, draws FLUX.1's", async () => {
  for (const size of [undefined, 4, 10, 100, [128, 128], "128"]) {
    assertEquals(await sizesOf(size), [[64, 64], [4, 128, 128], [64, 64], [2, 3]]);
  }
});
