/**
 * What latents look like, to compare: pictures where the model has an autoencoder.
 */

import { decodingError } from "../engine/decode/decoding.ts";
import type { Engine } from "../engine/engine.ts";
import type { Scene } from "../model/scene.ts";
import { latentPsnr, psnr } from "../image/psnr.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Decoded where there is an autoencoder, else the latents as planes. */
export async function picturesOf(
  latents: Tensor,
  { pipeline, scene, signal }: {
    readonly pipeline: Engine;
    readonly scene: Scene;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Tensor> {
  if (decodingError(pipeline.model) !== undefined) return scene.planes(latents);
  return await pipeline.decode(latents, { grid: scene.tokenGrid, signal });
}

/** PSNR in dB of each of what {@linkcode picturesOf} makes, to a reference: of latents by their range. */
export function psnrOf(
  { model }: Pick<Engine, "model">,
  pictures: Tensor,
  reference: Tensor,
): number[] {
  const isDecoded = decodingError(model) === undefined;
  return isDecoded ? psnr(pictures, reference) : latentPsnr(pictures, reference);
}
