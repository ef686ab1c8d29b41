/** The golden autoencoders: three levels 16, 24 and 32 wide, random weights, with diffusers' results. */
import { assertEquals } from "@std/assert";
import { openSafetensors, type Safetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../../src/assets/source.ts";
import { fileWeights, type Weights } from "../../../src/assets/weights.ts";
import type { Backend, BackendName } from "../../../src/backend/backend.ts";
import { openBackend } from "../../../src/backend/select.ts";
import { VaeGraphs } from "../../../src/engine/decode/vae_graphs.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { vaeOf } from "../../../src/model/vae/autoencoder.ts";
import type { Vae } from "../../../src/model/vae/vae.ts";

/**
 * `vae` has 4 channels and quant convolutions, `vae-16` 16 channels and a shift; `tiny` is an AutoencoderTiny,
 * `no-attention` an AutoencoderKL without attention in the middle.
 */
export type VaeName = "vae" | "vae-16" | "tiny" | "no-attention";

/** An opened autoencoder and the reference's numbers. */
export interface SmallVae {
  readonly vae: Vae;
  readonly weights: Weights;
  readonly golden: Safetensors;
}

/** The configuration as published. */
export async function readConfig(name: VaeName): Promise<Record<string, unknown>> {
  return JSON.parse(await Deno.readTextFile(new URL("config.json", folderOf(name))));
}

/** Its files by their paths in a pipeline directory. */
export async function vaeFiles(name: VaeName): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const file of ["config.json", "diffusion_pytorch_model.safetensors"]) {
    files.set(`vae/${file}`, await Deno.readFile(new URL(file, folderOf(name))));
  }
  return files;
}

/** Opens one for as long as a task takes. */
export async function withVae<T>(
  name: VaeName,
  task: (small: SmallVae) => Promise<T>,
): Promise<T> {
  const source = openDirectory(folderOf(name));
  try {
    const file = await openSafetensors(source, "diffusion_pytorch_model.safetensors");
    const weights = fileWeights(file);
    const vae = vaeOf(await readConfig(name), weights);
    return await task({
      vae,
      weights,
      golden: await openSafetensors(source, "golden.safetensors"),
    });
  } finally {
    await source.close();
  }
}

/** As {@link withVae}, on a backend, which must hold nothing when its graphs are disposed. */
export function withGraphs<T>(
  { name, provider }: { readonly name: VaeName; readonly provider: BackendName },
  task: (graphs: VaeGraphs, small: SmallVae & { readonly backend: Backend }) => Promise<T>,
): Promise<T> {
  return withVae(name, async (small) => {
    const { backend } = await openBackend({ backend: provider });
    const graphs = new VaeGraphs(backend, small.vae, small.weights);
    try {
      const result = await task(graphs, { ...small, backend });
      await graphs.dispose();
      assertEquals(backend.live, { values: 0, sessions: 0 });
      return result;
    } finally {
      await graphs.dispose();
      await backend.dispose();
    }
  });
}

/** Largest difference of two pictures. */
export function largestDifference(a: Tensor, b: Tensor): number {
  if (`${a.dims}` !== `${b.dims}`) throw new Error(`shapes [${a.dims}] and [${b.dims}]`);
  return a.data.reduce((most, value, i) => Math.max(most, Math.abs(value - b.data[i]!)), 0);
}

function folderOf(name: VaeName): URL {
  const folder = name.startsWith("vae") ? "dit-a-diffusers" : "vae-kinds";
  return new URL(`../../golden/${folder}/${name}/`, import.meta.url);
}
