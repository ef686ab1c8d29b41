/**
 * What latents look like, to compare: pictures where the model has an autoencoder.
 */

import { MAX_BATCH } from "../engine/max_batch.ts";
import { decodingError } from "../engine/decode/decoding.ts";
import type { Engine } from "../engine/engine.ts";
import type { Scene } from "../model/scene.ts";
import { latentPsnr, psnr } from "../image/psnr.ts";
import { joinRows, sliceRows } from "../tensor/rows.ts";
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
  const [count = 0] = latents.dims;
  const parts: Tensor[] = [];
  for (let first = 0; first < count; first += MAX_BATCH) { // more at once take no less time, but memory
    const part = sliceRows(latents, first, Math.min(MAX_BATCH, count - first));
    parts.push(await pipeline.decode(part, { grid: scene.tokenGrid, signal }));
  }
  return joinRows(parts);
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
