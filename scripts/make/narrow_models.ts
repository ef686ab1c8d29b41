/**
 * A DiT and a FLUX whose arithmetic is next to nothing (12 blocks, 48 wide, 16 tokens; made-up weights), so
 * that what a step takes is what the host does for it:
 *
 *     deno run --allow-write scripts/make/narrow_models.ts /tmp/narrow
 */
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { ditTensors } from "../../src/model/dit/dit.ts";
import { parseFluxConfig } from "../../src/model/flux/config.ts";
import { fluxTensors } from "../../src/model/flux/tensors.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import { randomNumbers } from "./random_weights.ts";

/** A model's directory in memory, as `openPipeline()` takes it. */
export type ModelFiles = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

const DIT = {
  input_size: 8,
  patch_size: 2,
  in_channels: 4,
  hidden_size: 48,
  depth: 12,
  num_heads: 4,
  num_classes: 10,
};
const FLUX = {
  _class_name: "FluxTransformer2DModel",
  in_channels: 16,
  num_layers: 4,
  num_single_layers: 8,
  attention_head_dim: 12,
  num_attention_heads: 4,
  joint_attention_dim: 16,
  pooled_projection_dim: 16,
  guidance_embeds: true,
  axes_dims_rope: [4, 4, 4],
};

/** A DiT on 8 × 8 latents: 16 tokens, 24 modules; on latents of another size, more tokens. */
export function narrowDit(size: number = DIT.input_size): ModelFiles {
  const config = { ...DIT, input_size: size };
  return filesOf(config, ditTensors(parseDitConfig(config)), "model.safetensors");
}

/** A FLUX of 4 dual and 8 single blocks; 16 image tokens are a grid of 4 × 4. */
export function narrowFlux(): ModelFiles {
  const tensors = fluxTensors(parseFluxConfig(FLUX));
  return filesOf(FLUX, tensors, "diffusion_pytorch_model.safetensors");
}

function filesOf(
  config: unknown,
  shapes: ReadonlyMap<string, readonly number[]>,
  weights: string,
): ModelFiles {
  const tensors = new Map(
    [...shapes].map(([name, dims], i) => {
      return [name, { dims, data: randomNumbers(elementCount(dims), i) }];
    }),
  );
  return new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(config))],
    [weights, joinBytes([...encodeSafetensors(tensors)])],
  ]);
}

if (import.meta.main) {
  const [folder = "narrow"] = Deno.args;
  for (const [name, files] of [["dit", narrowDit()], ["flux", narrowFlux()]] as const) {
    await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    for (const [file, bytes] of files) await Deno.writeFile(`${folder}/${name}/${file}`, bytes);
  }
}
