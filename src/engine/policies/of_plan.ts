/**
 * The rule that a plan was made by, for pictures to decide by themselves.
 */

import { PlanError } from "../../errors.ts";
import { oneOf } from "../../nearest_names.ts";
import type { Plan } from "../../plan/plan.ts";
import { RUN_TIME_POLICIES } from "./table.ts";

/**
 * What `generate()` takes as `policy` for the rule of a plan that `calibrate()` made with `teacache` or `sencache`: its
 * settings, and what was measured of the model.
 *
 * @throws {PlanError} When its policy is none that can decide at run time.
 */
export function policyOfPlan(
  { policy: { name, parameters }, calibration }: Pick<Plan, "policy" | "calibration">,
): string {
  const policy = Object.hasOwn(RUN_TIME_POLICIES, name) ? RUN_TIME_POLICIES[name] : undefined;
  if (policy === undefined) {
    const known = oneOf(Object.keys(RUN_TIME_POLICIES), name);
    throw new PlanError(
      `Cannot decide by the plan: its policy must be ${known}: current value is ${name}`,
    );
  }
  const { settings, tables = {} } = policy;
  const words = Object.entries({ ...parameters, ...calibration?.thresholds })
    .filter(([key]) => Object.hasOwn(settings, key) || Object.hasOwn(tables, tableOf(key)))
    .map(([key, value]) => `${key}=${value}`);
  return `${name}:${words.join(",")}`;
}

function tableOf(key: string): string {
  return key.split(".")[0]!; // a text has a beginning
}
