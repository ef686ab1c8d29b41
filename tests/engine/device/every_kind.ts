/** Plans with every kind of step. */
import type { Engine } from "../../../src/engine/engine.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import { type GenerateOptions, resolveRequest } from "../../../src/engine/request.ts";
import { makePlan } from "../../../src/plan/fit.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { rowsOf } from "../../plan/example_plans.ts";

/** Rows that are repeated over all modules, and the weights of their forecasts; each kind of step comes again. */
export const EVERY_KIND: readonly (readonly [row: string, weights?: readonly number[]])[] = [
  ...[["."], ["."], ["="], ["r"], [".r"], ["+"], ["rr."], ["r"], ["."]] as const,
  ...[["x", [1.5, -0.5]], [".xr", [0.5, 0.25, 0.25]], ["x", [1.25, -0.25]]] as const,
];

/** A plan for a model; each row is repeated over all modules. */
export async function planOf(
  { model }: Engine,
  given: GenerateOptions,
  rowsAndWeights: typeof EVERY_KIND,
): Promise<Plan> {
  const texts = rowsAndWeights.map(([text]) => text);
  const features = rowsAndWeights.map(([, weights]) => weights === undefined ? null : [weights]);
  const request = resolveRequest(model, { ...given, steps: texts.length });
  const { sampler: { times }, scene, guidance } = request;
  const { length } = scene.transformer.modules;
  const rows = texts.map((text) =>
    "=+".includes(text) ? text : text.repeat(length).slice(0, length)
  );
  const target = await planTarget(model, { times, guidance, tokenGrid: scene.tokenGrid });
  const plan = makePlan(target, rowsOf(rows, target.modules), {
    policy: { name: "hand", parameters: {} },
  });
  return { ...plan, columns: { features } };
}
