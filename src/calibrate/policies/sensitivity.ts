/**
 * How an output changes with the latent and with the time, and which steps may reuse one: SenCache's rule.
 */

import { type Sampler, type SamplerState, startOf } from "../../sampler/sampler.ts";

/** What the rule goes by. */
export interface SenCacheSettings {
  readonly threshold: number;
  readonly start: number;
  readonly longest: number;
}

/** Runs side by side: what a solver receives for their latents at one of its times. */
export interface SteppedRuns {
  readonly noise: Float32Array;
  predict(latents: Float32Array, time: number): Promise<Float32Array>;
}

/** By step. */
export interface Sensitivity {
  /** Change of the output for a change of the latent by one, both as root mean squares. */
  readonly latent: readonly number[];
  /** The same for a change of the time by one. */
  readonly time: readonly number[];
}

/** Changes below this are none. *Source:* the published calibration. */
const LEAST_CHANGE = 1e-8;
/** Share of the steps that is held to the stricter threshold. */
const STRICT_SHARE = 0.2;

/** Measures along a run in full: with the next latent at this time, and with this latent at the next time. */
export async function measureSensitivity(
  sampler: Sampler,
  { noise, predict }: SteppedRuns,
): Promise<Sensitivity> {
  const found: { latent: number[]; time: number[] } = { latent: [], time: [] };
  const dims = [noise.length];
  let state: SamplerState = startOf({ dims, data: noise });
  for (const [step, time] of sampler.times.entries()) {
    const { data } = state.latent;
    const output = await predict(data, time);
    state = sampler.advance(state, { dims, data: output }).state;
    const moved = distance(state.latent.data, data);
    const later = sampler.times[step + 1];
    const byLatent = distance(await predict(state.latent.data, time), output);
    const byTime = later === undefined ? 0 : distance(await predict(data, later), output);
    found.latent.push(moved < LEAST_CHANGE ? 0 : byLatent / moved);
    found.time.push(later === undefined ? 0 : byTime / (time - later));
  }
  return found;
}

/**
 * Which steps reuse the last output, on the latents that this leaves. The first is computed.
 *
 * @returns By step.
 */
export async function senCacheReuse(
  sampler: Sampler,
  { noise, predict }: SteppedRuns,
  { sensitivity, settings: { threshold, start, longest } }: {
    readonly sensitivity: Sensitivity;
    readonly settings: SenCacheSettings;
  },
): Promise<readonly boolean[]> {
  const { times } = sampler;
  const strict = Math.round(STRICT_SHARE * times.length);
  const reused: boolean[] = [];
  const dims = [noise.length];
  let state: SamplerState = startOf({ dims, data: noise });
  let last:
    | { readonly step: number; readonly latent: Float32Array; readonly output: Float32Array }
    | undefined;
  for (const [step, time] of times.entries()) {
    const { data } = state.latent;
    const foretold = last === undefined
      ? Infinity
      : sensitivity.latent[last.step]! * distance(data, last.latent) +
        sensitivity.time[last.step]! * (times[last.step]! - time); // measured at every step
    const isReused = last !== undefined && foretold < (step < strict ? start : threshold) &&
      step - last.step <= longest;
    reused.push(isReused);
    if (!isReused) last = { step, latent: data, output: await predict(data, time) };
    state = sampler.advance(state, { dims, data: last!.output }).state; // the first step was computed
  }
  return reused;
}

/** Root mean square of a difference. */
function distance(a: Float32Array, b: Float32Array): number {
  const sum = a.reduce((all, value, i) => all + (value - b[i]!) ** 2, 0); // of one shape
  return Math.sqrt(sum / a.length);
}
