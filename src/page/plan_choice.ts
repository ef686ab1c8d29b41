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
export function planLine(plan: PlanView, others: readonly PlanView[]): PlanLine {
  const { id, steps, predicted_speedup, measured } = plan;
  const psnr = measured?.values?.["truthPsnrDb"] ?? measured?.values?.["psnrDb"];
  const name = shortName(id, others.map((other) => other.id));
  return {
    name: name.charAt(0).toUpperCase() + name.slice(1),
    facts: [
      `${steps} steps`,
      ...(predicted_speedup === null ? [] : [formatFactor(predicted_speedup)]),
      ...(psnr === undefined ? [] : [`${psnr.toFixed(0)} dB`]),
    ].join(" · "),
  };
}

/** The fewest last parts of an id that no other of these ids ends with. */
function shortName(id: string, ids: readonly string[]): string {
  const parts = id.split(".");
  const ends = parts.map((_, i) => parts.slice(-1 - i).join("."));
  const isOwn = (end: string): boolean =>
    ids.every((other) => other === id || (other !== end && !other.endsWith(`.${end}`)));
  return ends.find(isOwn) ?? id;
}

/** What `auto` means for so many steps. */
export function autoFacts(options: ChoiceOptions): string {
  const plan = planOfChoice("auto", options);
  if (plan === undefined) return `none fits ${options.steps} steps`;
  const { predicted_speedup } = plan;
  const factor = predicted_speedup === null ? "" : ` · ${formatFactor(predicted_speedup)}`;
  return `${planLine(plan, options.plans).name.toLowerCase()}${factor}`;
}

/** Plans for these steps first, then by how much they save. */
export function orderPlans(plans: readonly PlanView[], steps: number): PlanView[] {
  return [...plans].sort((a, b) =>
    Number(b.steps === steps) - Number(a.steps === steps) || b.steps - a.steps ||
    (a.predicted_speedup ?? 0) - (b.predicted_speedup ?? 0)
  );
}
