/**
 * Makes plans in code, of rows that a policy chose.
 *
 * @module
 */
import type { PlanTarget } from "./fit.ts";
import type { Plan, PlanCalibration, PlanPolicy } from "./plan.ts";
import type { Row } from "./row.ts";
import { checkLoads } from "./uses.ts";

/** Where the rows come from. */
export interface PlanOrigin {
  /** The rule that chose them. */
  readonly policy: PlanPolicy;
  /** What the rule was given. */
  readonly calibration?: PlanCalibration;
}

/**
 * Makes a plan for one call of the model in each step, bound to the target's model and made under its
 * circumstances.
 *
 * @param rows One for each time of the target.
 * @throws {PlanError} When a step loads what no step before it has stored.
 */
export function makePlan(target: PlanTarget, rows: readonly Row[], origin: PlanOrigin): Plan {
  const { architecture, fingerprint, modules, sampler, times } = target;
  const { guidance, tokenGrid, precision } = target;
  const plan: Plan = {
    version: 1,
    architecture,
    fingerprints: [fingerprint],
    modules,
    sampler: { name: sampler, times },
    slots: ["joint"],
    rows: rows.map((row) => [row]),
    context: {
      ...(guidance !== undefined && { guidance }),
      ...(tokenGrid !== undefined && { tokenGrid }),
      ...(precision !== undefined && { precision }),
    },
    ...origin,
  };
  checkLoads(plan, "make plan");
  return plan;
}
