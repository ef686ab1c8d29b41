/**
 * SenCache, reduced to a plan: how much the output changes with the latent and with the time is measured along runs in
 * full; then a step reuses the last output while both, times how far latent and time have moved since, foretell little.
 *
 * *Source:* arXiv 2602.24208 and its published code (vita-epfl/SenCache). There the rule is asked of each video while
 * it is made, and thresholds are for the norm of one size of latents. Latents of all pictures move nearly alike, so
 * here it is asked once, of root mean squares over runs, and gives a plan: our reading.
 */

import { openEnsemble } from "../fit/ensemble.ts";
import { requestOf } from "../task.ts";
import { forecastFor } from "./forecast_plan.ts";
import type { Policy } from "./policy.ts";
import { measureSensitivity, senCacheReuse } from "./sensitivity.ts";

const SETTINGS = {
  threshold: { words: "most error per number that is foretold; .2 is faster", or: 0.1, least: 0 },
  start: { words: "the same in the first fifth of the steps", or: 0.01, least: 0 },
  longest: { words: "most steps that are reused in a row", or: 3, least: 0, whole: true },
} as const;

/** The policy. */
export const SENCACHE: Policy<typeof SETTINGS> = {
  words: "reuse outputs while latent and time foretell little change (our reading)",
  settings: SETTINGS,
  record: async (task, settings) => {
    const { steps, onProgress } = task;
    const { sampler } = requestOf(task);
    const ensemble = await openEnsemble(task, sampler.times);
    const total = 4 * steps; // three calls at a step to measure, one at most to try
    let done = 0;
    const runs = {
      noise: ensemble.noise,
      predict: async (latents: Float32Array, time: number) => {
        const output = await ensemble.predict(latents, time);
        onProgress?.(++done, total);
        return output;
      },
    };
    try {
      const sensitivity = await measureSensitivity(sampler, runs);
      const reused = await senCacheReuse(sampler, runs, { sensitivity, settings });
      onProgress?.(total, total);
      const forecast = (): readonly number[] => [1];
      return {
        ...forecastFor(task, reused.map((each) => !each), { forecast }),
        recorded: {
          ...named("latent", sensitivity.latent),
          ...named("time", sensitivity.time),
        },
      };
    } finally {
      ensemble.close();
    }
  },
};

function named(name: string, values: readonly number[]): Readonly<Record<string, number>> {
  return Object.fromEntries(values.map((value, step) => [`${name}.${step}`, value]));
}
