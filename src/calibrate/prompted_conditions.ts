/**
 * What runs of a model begin with when only their number and a seed are known: classes, or prompts that it knows.
 */

import type { Engine } from "../engine/engine.ts";
import { encodePrompts } from "../engine/prompts.ts";
import { sceneOf } from "../engine/request.ts";
import { normalRows } from "../tensor/random.ts";
import { type RunConditions, seededConditions } from "./task.ts";

/**
 * Conditions of so many runs: run i has class i, or the i-th of the prompts that a model says that it knows, in turn,
 * and noise of `seed + i`.
 *
 * @throws {RangeError} When the model has neither classes nor such prompts, or nothing to encode them with.
 */
export async function conditionsOfRuns(
  engine: Engine,
  { runs, seed }: { readonly runs: number; readonly seed: number },
): Promise<RunConditions> {
  const { model } = engine;
  const examples = model.prompts?.examples ?? [];
  if (model.classes > 0 || examples.length === 0 || !engine.takesPrompts) {
    return seededConditions(engine, { runs, seed });
  }
  return await promptedConditions(engine, { prompts: examples.slice(0, runs), runs, seed });
}

/** Conditions of so many runs: run i has the i-th of these prompts, in turn, and noise of `seed + i`. */
export async function promptedConditions(
  { model, promptEncoder }: Pick<Engine, "model" | "promptEncoder">,
  { prompts, runs, seed }: {
    readonly prompts: readonly string[];
    readonly runs: number;
    readonly seed: number;
  },
): Promise<RunConditions> {
  const { options: given } = await encodePrompts(model, { prompts }, promptEncoder);
  const seeds = Array.from({ length: runs }, (_, i) => seed + i);
  const noise = normalRows(sceneOf(model, given).latentDims, seeds);
  const { conditions = {} } = given;
  return { labels: seeds.map((_, i) => i % prompts.length), noise, seeds, given: { conditions } };
}
