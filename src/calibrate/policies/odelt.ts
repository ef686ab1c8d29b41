/**
 * ODE_t(ODE_l): every step leaves out the last groups of blocks, of a model that was trained to do without them.
 *
 * *Source:* arXiv 2506.21714; gudovskiy/odelt `README.md`: 4, 8 or 12 of 12 blocks run, or 12, 20 or 28 of 28.
 */

import { PlanError } from "../../errors.ts";
import { moduleRow } from "../../plan/row.ts";
import { requestOf } from "../task.ts";
import type { Policy } from "./policy.ts";
import { scheduleOf } from "./schedule.ts";

const SETTINGS = {
  left: { words: "groups of blocks that steps leave out", or: 1, least: 0, whole: true },
} as const;

/** The policy. */
export const ODELT: Policy<typeof SETTINGS> = {
  words: "leave out the last groups of blocks, of models that were trained for it",
  settings: SETTINGS,
  record: async (task, { left }) => {
    const { pipeline: { model: { id, transformer, sampler } }, steps } = task;
    const { modules, depthGroup: group } = transformer;
    if (group === undefined) {
      throw new PlanError(
        `Cannot calibrate ${id} by odelt: it was not trained to do without any block, for its config.json has ` +
          "no depth_group.",
      );
    }
    const most = modules.length / group - 1;
    if (left > most) {
      throw new RangeError(
        `Cannot calibrate: left of odelt must be at most ${most} for ${id}: current value is ${left}`,
      );
    }
    const running = modules.length - left * group;
    const row = moduleRow(modules.map((_, m) => m < running ? "run" : "skip"));
    const { scene: { tokens } } = requestOf(task);
    const reference = { sampler: sampler.name, steps };
    return await Promise.resolve({
      rows: Array.from({ length: steps }, () => row),
      own: { ...scheduleOf(sampler, { steps, tokens }), reference },
    });
  },
};
