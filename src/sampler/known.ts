/**
 * A picture that a run begins from: its latents with noise, and what a mask keeps of them at every step.
 *
 * *Source:* diffusers `FlowMatchEulerDiscreteScheduler.scale_noise()`, `DDIMScheduler.add_noise()`,
 * `FluxInpaintPipeline`. Arithmetic is float32 in their order.
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { Point } from "./path.ts";

const { fround } = Math;

/** The latents of a picture, `(1, C, H, W)` or packed `(1, T, C)`, for all pictures of a batch. */
export interface KnownPicture {
  readonly latents: Tensor;
  /** 1 where it is repainted, 0 where it stays, of the shape of the latents; absent = all of it is repainted. */
  readonly mask?: Tensor | undefined;
}

/** The picture with each picture's noise `(n, …)`, at a point of the path: α · picture + σ · noise. */
export function noised({ data: known }: Tensor, noise: Tensor, point: Point): Tensor {
  const [alpha, sigma] = [fround(point.alpha), fround(point.sigma)];
  const data = noise.data.map((value, i) => {
    return fround(sigma * value) + fround(alpha * known[i % known.length]!);
  });
  return { dims: noise.dims, data };
}

/**
 * Latents `(n, …)` in which what the mask keeps is the picture's again, with the noise of a point of the path.
 *
 * @param point Absent after the last step: there is no noise left.
 */
export function restored(
  latent: Tensor,
  { known: { latents, mask }, noise, point }: {
    readonly known: KnownPicture;
    readonly noise: Tensor;
    readonly point: Point | undefined;
  },
): Tensor {
  if (mask === undefined) return latent;
  const kept = point === undefined ? undefined : noised(latents, noise, point);
  const size = mask.data.length;
  const data = latent.data.map((value, i) => {
    if (mask.data[i % size] !== 0) return value;
    return kept?.data[i] ?? latents.data[i % size]!; // of one shape
  });
  return { dims: latent.dims, data };
}
