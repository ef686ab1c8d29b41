/**
 * Which plan a run follows, and what the list of plans says.
 */

import { choosePlan, type PlanOffer } from "../plan/choose.ts";
import type { PlanView } from "./contract.ts";
import { formatFactor } from "./format.ts";

/** A choice of the form: `auto`, `none`, or a plan's id. */
export type PlanChoice = string;

/** What a choice depends on. */
export interface ChoiceOptions {
  /** Steps of the form. */
  readonly steps: number;
  /** Steps of the model: the form has these until someone asks for others. */
  readonly usual: number;
  readonly plans: readonly PlanView[];
}

/** The plan of a choice for so many steps; `undefined` when everything is computed. */
export function planOfChoice(
  choice: PlanChoice,
  { steps, usual, plans }: ChoiceOptions,
): PlanView | undefined {
  const offerOf = ({ id, steps, owns_times: ownsTimes }: PlanView): PlanOffer => {
    return { name: id, steps, ownsTimes };
  };
  const asked = steps === usual ? undefined : steps;
  return choosePlan(plans, { word: choice, steps: asked, usual, offerOf });
}

/** A line of the list. */
export interface PlanLine {
  readonly name: string;
  readonly facts: string;
}

/** `fashion-dit.3x` as a person reads it: `3x`, with its steps, speed-up and quality. */
export function planLine({ id, steps, predicted_speedup, measured }: PlanView): PlanLine {
  const level = id.split(".").at(-1)!; // split gives at least one
  const psnr = measured?.values?.["truthPsnrDb"] ?? measured?.values?.["psnrDb"];
  return {
    name: level.charAt(0).toUpperCase() + level.slice(1),
    facts: [
      `${steps} steps`,
      ...(predicted_speedup === null ? [] : [formatFactor(predicted_speedup)]),
      ...(psnr === undefined ? [] : [`${psnr.toFixed(0)} dB`]),
    ].join(" · "),
  };
}

/** What `auto` means for so many steps. */
export function autoFacts(options: ChoiceOptions): string {
  const plan = planOfChoice("auto", options);
  if (plan === undefined) return `none fits ${options.steps} steps`;
  const { predicted_speedup } = plan;
  const factor = predicted_speedup === null ? "" : ` · ${formatFactor(predicted_speedup)}`;
  return `${planLine(plan).name.toLowerCase()}${factor}`;
}

/** Plans for these steps first, then by how much they save. */
export function orderPlans(plans: readonly PlanView[], steps: number): PlanView[] {
  return [...plans].sort((a, b) =>
    Number(b.steps === steps) - Number(a.steps === steps) || b.steps - a.steps ||
    (a.predicted_speedup ?? 0) - (b.predicted_speedup ?? 0)
  );
}
