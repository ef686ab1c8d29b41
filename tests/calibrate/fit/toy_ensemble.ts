/** A model of fits whose truth is known at every time. */
import type { Ensemble } from "../../../src/calibrate/fit/ensemble.ts";
import { normalNoise } from "../../../src/tensor/random.ts";

export const RUNS = 12;
/** Numbers of a run's latent. */
export const SIZE = 32;

/** A model that is not linear in latents, and is known at every time. */
export function toyEnsemble(calls: number[] = []): Ensemble {
  return {
    runs: RUNS,
    noise: normalNoise([RUNS * SIZE], 5).data,
    predict(latents, time): Promise<Float32Array> {
      calls.push(time);
      return Promise.resolve(latents.map((x) => Math.tanh(x) * (1 - time / 2500)));
    },
    forget: () => {},
    close: () => {},
  };
}
