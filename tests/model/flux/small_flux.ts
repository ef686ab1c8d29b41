/** Small FLUX models of random numbers, as files in memory. */
import { encodeSafetensors } from "../../../src/assets/formats/safetensors_writer.ts";
import { parseFluxConfig } from "../../../src/model/flux/config.ts";
import { fluxTensors } from "../../../src/model/flux/tensors.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";

/** Sizes that differ from each other wherever they may. */
export const SMALL_FLUX = {
  _class_name: "FluxTransformer2DModel",
  in_channels: 12,
  num_layers: 1,
  num_single_layers: 2,
  attention_head_dim: 8,
  num_attention_heads: 3,
  joint_attention_dim: 10,
  pooled_projection_dim: 7,
  guidance_embeds: true,
  axes_dims_rope: [2, 4, 2],
};

/** Random numbers of the size that makes every layer matter. */
export function randomTensors(config: typeof SMALL_FLUX): Map<string, Tensor> {
  let seed = 0;
  return new Map(
    [...fluxTensors(parseFluxConfig(config))].map(([name, dims]) => {
      const isScale = name.includes("norm_");
      const { data } = normalNoise(dims, seed++);
      const deviation = dims.length === 1 ? 0.1 : 0.8 / Math.sqrt(dims[1]!);
      return [name, { dims, data: data.map((x) => (isScale ? 1 : 0) + x * deviation) }];
    }),
  );
}

/** A model directory in memory. */
export function fluxFiles(
  config: Readonly<Record<string, unknown>>,
  tensors: ReadonlyMap<string, Tensor>,
): ReadonlyMap<string, Uint8Array> {
  return new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(config))],
    ["diffusion_pytorch_model.safetensors", joinBytes([...encodeSafetensors(tensors)])],
  ]);
}
