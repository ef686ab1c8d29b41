/**
 * Checks before a run that it fits into the backend's memory: WebAssembly cannot be used again after it has
 * run out of memory.
 */

import type { Backend } from "../../backend/backend.ts";
import { BackendError } from "../../errors.ts";
import type { Model } from "../../model/model.ts";
import type { LinearLowering } from "../../onnx/graph.ts";
import { type RoundedLayers, roundedLowering } from "../precision/rounded_layers.ts";
import { type MemoryNeeds, memoryNeeds, misfitOf } from "./needs.ts";
import { keptBytes, residualBytes } from "./kept.ts";
import type { PreparedRun } from "../prepare.ts";
import { memoryOn, misfitOn, type RowSets, rowSets, runNeeds, WEIGHT_ADVICE } from "./run.ts";

type CheckedBackend = Pick<Backend, "name" | "description" | "memoryLimit" | "weightLimit">;

/**
 * Makes the memory check of a model whose linear layers are built by `lowering`. The needs of its graphs are
 * computed once for each picture size.
 *
 * @returns A function that throws a `BackendError` when a run does not fit, which says how much each part
 *   takes and what to change; else it returns how many bytes are left, or `undefined` where nothing says it.
 */
export function memoryCheck(
  model: Model,
  { name, description, memoryLimit, weightLimit = Infinity }: CheckedBackend,
  lowering?: LinearLowering,
): (run: Pick<PreparedRun, "request" | "choice" | "steps">) => number | undefined {
  let known:
    | { readonly sizes: string; readonly needs: MemoryNeeds; readonly sets: RowSets }
    | undefined;
  return ({ request, choice: { named }, steps }) => {
    if (memoryLimit === undefined) return undefined;
    const { scene } = request;
    const { transformer } = scene;
    const sizes = JSON.stringify(transformer.sizes ?? {}); // of equal sizes a model's graphs are equal
    if (known?.sizes !== sizes) {
      known = {
        sizes,
        needs: memoryNeeds(transformer, lowering),
        sets: rowSets(transformer, lowering),
      };
    }
    const batch = scene.batch(request.labels, { time: 0, guidance: request.guidance });
    const rows = batch.length;
    const kept = named === undefined
      ? residualBytes(steps, { transformer, rows, pictures: request.labels.length })
      : keptBytes({ plan: named.plan, steps }, { transformer, rows });
    const run = runNeeds(transformer, known.sets, {
      batch,
      steps: request.steps,
      kept,
    });
    const memory = memoryOn(name, known.needs, run);
    const misfit = misfitOn(memory, memoryLimit);
    if (misfit === undefined) {
      return Math.min(memoryLimit - memory.peak, weightLimit - memory.weights);
    }
    throw new BackendError(
      `Cannot run ${model.id} on ${description}, ${rows} rows at a time: ${misfit}`,
    );
  };
}

/** Refuses, before loading, a model whose weights a backend cannot hold. @throws {BackendError} When it cannot. */
export function expectWeightsFit(
  { id, transformer }: Model,
  { description, weightLimit }: CheckedBackend,
  rounded: RoundedLayers | undefined,
): void {
  if (weightLimit === undefined) return;
  const needs = memoryNeeds(transformer, rounded && roundedLowering(rounded.options));
  const misfit = misfitOf(needs, { weights: weightLimit });
  if (misfit !== undefined) {
    throw new BackendError(
      `Cannot open ${id} on ${description}: ${misfit}; take ${WEIGHT_ADVICE}, native or webgpu`,
    );
  }
}
