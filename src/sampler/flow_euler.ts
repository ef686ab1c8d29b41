/**
 * Euler's method on the straight path of flow matching, from noise at sigma 1 to a picture at 0.
 *
 * *Source:* diffusers `FlowMatchEulerDiscreteScheduler`, as `FluxPipeline` uses it; Esser et al.,
 * arXiv 2403.03206. Arithmetic is float32 in its order.
 */

import type { FlowSchedule } from "./flow_schedule.ts";
import { firstOrder, pointOfFlow } from "./path.ts";
import type { Sampler } from "./sampler.ts";

const { fround } = Math;

/** Samples along a schedule; the model predicts velocity, noise − picture. */
export function flowEuler({ sigmas, times }: FlowSchedule): Sampler {
  const path = { times, points: sigmas.map(pointOfFlow), predicts: "velocity" } as const;
  return {
    times,
    points: path.points,
    linear: firstOrder(path),
    weights: times.map((_, i) => sigmas[i]! - sigmas[i + 1]!), // one more than times
    advance: ({ index, latent: { dims, data } }, { data: velocity }) => {
      const [sigma, next] = [sigmas[index]!, sigmas[index + 1]!];
      const latent = { dims, data: moved(data, velocity, fround(next - sigma)) };
      const estimate = { dims, data: moved(data, velocity, -sigma) };
      return { state: { index: index + 1, latent, history: [] }, estimate };
    },
  };
}

function moved(x: Float32Array, velocity: Float32Array, by: number): Float32Array {
  return x.map((value, i) => value + fround(by * velocity[i]!)); // same length as x
}
