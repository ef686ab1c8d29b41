/**
 * SenCache, reduced to a plan: how much the output changes with the latent and with the time is measured along runs in
 * full, and stands in the plan, for `generate --policy` to decide by at run time; then the rule is asked of all runs
 * together, whose latents move nearly alike, and gives the plan: our reading.
 */

import { SENCACHE as RULE } from "../../engine/policies/sencache.ts";
import { openEnsemble } from "../fit/ensemble.ts";
import { requestOf } from "../task.ts";
import { forecastFor } from "./forecast_plan.ts";
import type { Policy } from "./policy.ts";
import { measureSensitivity, senCacheReuse } from "./sensitivity.ts";

/** The policy. */
export const SENCACHE: Policy<typeof RULE.settings> = {
  words: "reuse outputs while latent and time foretell little change (our reading)",
  settings: RULE.settings,
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
          ...named("at", sensitivity.at),
          ...named("latent", sensitivity.latent),
          ...named("time", sensitivity.time),
        },
      };
    } finally {
      ensemble.close();
    }
  },
};

/** Digits of what was measured, as `generate --policy` takes it back. */
const DIGITS = 6;

function named(name: string, values: readonly number[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    values.map((value, step) => [`${name}.${step}`, Number(value.toPrecision(DIGITS))]),
  );
}
