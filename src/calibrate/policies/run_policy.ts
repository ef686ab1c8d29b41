/**
 * Makes a plan by a policy of the field: of runs, or of a file.
 */

import type { OwnTimes } from "../../plan/fit.ts";
import { formatPlan } from "../../plan/format.ts";
import { parsePlan } from "../../plan/parse.ts";
import type { Plan } from "../../plan/plan.ts";
import { planOf } from "../task.ts";
import type { PolicyFile, PolicyTask, ReadFor } from "./policy.ts";
import { choosePolicy, type ChosenPolicy } from "./table.ts";

/**
 * The plan that a policy chooses for a model, bound to it.
 *
 * @throws {TypeError} When the policy only reads files.
 * @throws {PlanError} When the model is not of a kind that it knows, or what it records is not finite.
 */
export async function calibratePolicy(
  task: PolicyTask,
  { name, policy, settings }: ChosenPolicy,
): Promise<Plan> {
  if (policy.record === undefined) {
    throw new TypeError(
      `Cannot calibrate: policy must be one that needs no training: current value is ${name}, ` +
        'which "plan import" reads',
    );
  }
  const { rows, own, recorded } = await policy.record(task, settings);
  const plan = await planOf({ ...task, levels: {}, warmup: 0 }, {
    rows,
    guidance: task.guidance,
    policy: { name, parameters: settings },
    ...(recorded !== undefined && { calibration: { mode: "policy", thresholds: recorded } }),
    ...(own !== undefined && { own }),
  });
  return readAgain(plan);
}

/**
 * The plan that a published file says, unbound.
 *
 * @param word `NAME[:SETTING=NUMBER,…]`
 * @throws {TypeError | RangeError} When the policy reads no files, or a setting is wrong.
 * @throws {PlanError} When the file is none of its, or for another number of steps.
 */
export async function importPolicy(
  word: string,
  file: PolicyFile,
  about: ReadFor,
): Promise<Plan> {
  const { name, policy, settings } = choosePolicy(word, "import plan");
  if (policy.read === undefined) {
    throw new TypeError(
      `Cannot import plan: policy must be one whose authors publish files: current value is ${name}, ` +
        'which "calibrate" makes',
    );
  }
  const { architecture, modules, rows, own } = await policy.read(file, settings, about);
  const { times, shift, columns, tokenScore, reference }: OwnTimes = own ?? about.sampler;
  const plan: Plan = {
    version: own === undefined ? 1 : 2,
    architecture,
    fingerprints: [],
    modules,
    sampler: { name: about.sampler.name, times, ...(shift !== undefined && { shift }) },
    slots: ["joint"],
    rows: rows.map((row) => [row]),
    ...(columns !== undefined && { columns }),
    ...(tokenScore !== undefined && { tokenScore }),
    ...(reference !== undefined && { reference }),
    context: {},
    policy: { name, parameters: settings },
  };
  return readAgain(plan);
}

/** What a policy made, through the checks of every plan: weights without bound, loads of nothing. */
function readAgain(plan: Plan): Plan {
  return parsePlan(formatPlan(plan));
}
