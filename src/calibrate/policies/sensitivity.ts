/**
 * How an output changes with the latent and with the time, and which steps may reuse one: SenCache's rule.
 */

import {
  distance,
  foretold,
  type SENCACHE,
  type Sensitivity,
} from "../../engine/policies/sencache.ts";
import type { Settings } from "../../engine/policies/settings.ts";
import { type Sampler, type SamplerState, startOf } from "../../sampler/sampler.ts";

/** What the rule goes by. */
export type SenCacheSettings = Settings<typeof SENCACHE.settings>;

/** Runs side by side: what a solver receives for their latents at one of its times. */
export interface SteppedRuns {
  readonly noise: Float32Array;
  predict(latents: Float32Array, time: number): Promise<Float32Array>;
}

/** Changes below this are none. *Source:* the published calibration. */
const LEAST_CHANGE = 1e-8;

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
  return { at: sampler.times, ...found };
}

/**
 * Which steps reuse the last output, on the latents that this leaves. The first is computed.
 *
 * @returns By step.
 */
export async function senCacheReuse(
  sampler: Sampler,
  { noise, predict }: SteppedRuns,
  { sensitivity, settings }: {
    readonly sensitivity: Sensitivity;
    readonly settings: SenCacheSettings;
  },
): Promise<readonly boolean[]> {
  const { times } = sampler;
  const decide = foretold(settings, { times, sensitivity });
  const reused: boolean[] = [];
  const dims = [noise.length];
  let state: SamplerState = startOf({ dims, data: noise });
  let output: Float32Array = new Float32Array(); // the first step runs
  for (const [step, time] of times.entries()) {
    const { data } = state.latent;
    const isReused = decide(step, data) === "reuse";
    reused.push(isReused);
    if (!isReused) output = await predict(data, time);
    state = sampler.advance(state, { dims, data: output }).state;
  }
  return reused;
}
