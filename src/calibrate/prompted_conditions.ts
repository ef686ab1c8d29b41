/**
 * What runs of a model begin with when only their number and a seed are known: classes, or prompts that it knows.
 */

import { promptByLot } from "../assets/prompt_by_lot.ts";
import type { Engine } from "../engine/engine.ts";
import { encodePrompts } from "../engine/prompts.ts";
import { sceneOf } from "../engine/request.ts";
import { normalRows, philox } from "../tensor/random.ts";
import { type RunConditions, seededConditions } from "./task.ts";

/**
 * Conditions of so many runs, with noise of `seed + i`: run i has class i, in turn, or the i-th of the prompts that a
 * model says that it knows, and after those one of its phrases by lot: what is fitted on few prompts holds for them
 * only.
 *
 * @throws {RangeError} When the model has neither classes nor such prompts, or nothing to encode them with.
 */
export async function conditionsOfRuns(
  engine: Engine,
  { runs, seed }: { readonly runs: number; readonly seed: number },
): Promise<RunConditions> {
  const { model } = engine;
  const { prompts: known } = model;
  if (model.classes > 0 || known === undefined || !engine.takesPrompts) {
    return seededConditions(engine, { runs, seed });
  }
  const prompts = Array.from(
    { length: runs },
    (_, i) => known.examples[i] ?? promptByLot(known, numbersOf(seed + i)),
  );
  return await promptedConditions(engine, { prompts, runs, seed });
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
  const { conditions = {}, labels: rows = [] } = given; // equal prompts have one row of conditions
  const labels = seeds.map((_, i) => Number(rows[i % prompts.length]));
  return { labels, noise, seeds, given: { conditions } };
}

/** Numbers in [0, 1) that a seed stands for. */
function numbersOf(seed: number): () => number {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32)] as const;
  let count = 0;
  return () => philox([count++, 0, 0, 0], key)[0] / 2 ** 32;
}
