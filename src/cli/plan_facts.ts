/**
 * What there is to say about a plan before it runs.
 */

import type { NamedPlan } from "../engine/bundled_plans.ts";
import { featureSizes, modelCost, sceneOfPlan } from "../engine/plan_facts.ts";
import type { Model } from "../model/model.ts";
import { rowsPerPicture } from "../model/scene.ts";
import { type CompiledPlan, compilePlan } from "../plan/compile.ts";
import { peakLiveBytes, predictSpeedup } from "../plan/cost.ts";
import { planDigest } from "../plan/digest.ts";
import type { Plan } from "../plan/plan.ts";
import { countKinds, countWords, kindOf } from "../plan/step_counts.ts";

/**
 * Facts of a plan, one a line; with a model also what it saves and keeps there.
 *
 * @throws {PlanError} When the plan loads what was never stored, or the model has other modules.
 */
export function factsOf({ name, plan }: NamedPlan, model?: Model): string {
  const compiled = compilePlan(plan);
  const lines: readonly (readonly [string, string])[] = [
    ["plan", name],
    ["digest", planDigest(plan)],
    ["models", plan.fingerprints.join(", ") || 'none: unbound, "plan bind" makes it run'],
    ["policy", policyText(plan)],
    ["steps", stepsText(compiled)],
    ["modules", modulesText(compiled)],
    ["staleness", `at most ${compiled.maxStaleness} steps`],
    ["speed-up", speedText(compiled, model)],
    ["kept", keptText(compiled, model)],
    ...(plan.measured === undefined ? [] : [["measured", measuredText(plan.measured)] as const]),
  ];
  return lines.map(([what, text]) => `${what.padEnd(10)} ${text}\n`).join("");
}

function policyText({ policy: { name, parameters }, calibration, context }: Plan): string {
  const { guidance, tokenGrid, precision } = context;
  return [
    name,
    ...Object.entries(parameters).map(([key, value]) => `${key} ${value}`),
    ...(calibration === undefined ? [] : [`calibrated on ${calibration.conditions.length} runs`]),
    ...(guidance === undefined ? [] : [`guidance ${guidance}`]),
    ...(tokenGrid === undefined ? [] : [`${tokenGrid.join(" × ")} tokens`]),
    ...(precision === undefined ? [] : [precision]),
  ].join(", ");
}

function stepsText({ plan: { slots }, steps }: CompiledPlan): string {
  const calls = slots.length === 1 ? "" : ` in ${slots.length} model calls a step`;
  return `${steps.length}${calls}: ${countWords(countKinds(steps.map(kindOf)))}`;
}

function modulesText({ plan, steps }: CompiledPlan): string {
  const ran = steps.flatMap((step) => "actions" in step ? step.actions : [])
    .filter(({ kind }) => kind === "run").length;
  return `${ran} of ${steps.length * plan.modules.length} runs of ${plan.modules.length} modules`;
}

/** Predicted where the model is known, else as the plan recorded it. */
function speedText(compiled: CompiledPlan, model: Model | undefined): string {
  if (model !== undefined) {
    const { transformer } = sceneOfPlan(compiled.plan, model);
    const predicted = predictSpeedup(compiled, modelCost(transformer));
    return `${predicted.toFixed(2)} × predicted for ${model.id}`;
  }
  const recorded = compiled.plan.measured?.values["predictedSpeedup"];
  if (recorded !== undefined) return `${recorded.toFixed(2)} × predicted, as recorded`;
  return "told with --model DIR";
}

function keptText(compiled: CompiledPlan, model: Model | undefined): string {
  const ones = { modules: compiled.plan.modules.map(() => 1), hidden: 1, residual: 1 };
  const results = `at most ${peakLiveBytes(compiled, ones)} results at once`;
  if (model === undefined) return results;
  const guidance = compiled.plan.context.guidance ?? model.sampler.guidance;
  const scene = sceneOfPlan(compiled.plan, model);
  const rows = rowsPerPicture(scene, guidance);
  const bytes = peakLiveBytes(compiled, featureSizes(scene.transformer, rows));
  return `${results}, ${bytes} bytes for each picture`;
}

function measuredText({ values, machine }: NonNullable<Plan["measured"]>): string {
  const numbers = Object.entries(values).map(([key, value]) => `${key} ${value}`);
  return `${numbers.join(", ")} (${machine})`;
}
