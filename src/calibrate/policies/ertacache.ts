/**
 * ERTACache, our reading of it: reuse what the model adds to its latent, and repair what that leaves, by steps that
 * are shorter where reuse errs and by a factor for each reused output.
 *
 * *Source:* formulas of arXiv 2508.21091, without its code, so two things are read into them. The steps after a
 * shortened one share the rest of the way equally: Δ = way left ÷ steps left, along the schedule before any shift.
 * Errors are fitted as a multiple of the reused output, the slope of the paper's straight line; its intercept, one
 * number for all pixels and channels, has no place in a plan.
 */

import type { OwnTimes } from "../../plan/fit.ts";
import { FORECAST_ROW } from "../../plan/row.ts";
import type { Sampler } from "../../sampler/sampler.ts";
import { openEnsemble } from "../fit/ensemble.ts";
import { requestOf } from "../task.ts";
import type { Policy, PolicyTask } from "./policy.ts";
import { type Repair, repairReuse, type Runs } from "./reuse_repair.ts";
import { rowsWhere } from "./rows.ts";
import { samplerAtTimes, scheduleOf } from "./schedule.ts";

const SETTINGS = {
  threshold: { words: "most relative error of a reused residual; .08 for Wan", or: 0.6, least: 0 },
} as const;

/** The policy. */
export const ERTACACHE: Policy<typeof SETTINGS> = {
  words: "reuse output − latent; shorter steps and a factor repair it (our reading)",
  settings: SETTINGS,
  record: async (task, { threshold }) => {
    const { pipeline: { model }, steps, onProgress } = task;
    const { scene: { tokens } } = requestOf(task);
    const schedule = scheduleOf(model.sampler, { steps, tokens });
    let done = 0;
    const found = await repairReuse(schedule, {
      threshold,
      samplerAt: (times) => samplerAtTimes(model.sampler, { times, tokens }),
      open: (sampler) => openRuns(task, sampler, () => onProgress?.(++done, 3 * steps)),
    });
    const modules = model.transformer.modules.length;
    const own: OwnTimes = {
      ...schedule,
      times: found.times,
      ...(found.reused.includes(true) && { columns: { forecast: found.forecast } }),
      reference: { sampler: model.sampler.name, steps },
    };
    return {
      rows: rowsWhere(found.reused.map((each) => !each), { modules, other: FORECAST_ROW }),
      own,
      recorded: recordedOf(found),
    };
  },
};

async function openRuns(task: PolicyTask, { times }: Sampler, onStep: () => void): Promise<Runs> {
  const ensemble = await openEnsemble(task, times);
  return {
    noise: ensemble.noise,
    predict: async (latents, time) => {
      const output = await ensemble.predict(latents, time);
      onStep();
      return output;
    },
    close: () => ensemble.close(),
  };
}

function recordedOf({ reused, lengths, slopes }: Repair): Readonly<Record<string, number>> {
  return Object.fromEntries(
    reused.flatMap((each, step) =>
      each ? [[`length.${step}`, lengths[step]!], [`slope.${step}`, slopes[step]!]] as const : []
    ),
  );
}
