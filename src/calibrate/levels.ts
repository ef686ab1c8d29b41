/**
 * Quantile levels of a calibration: checked against the kinds of a model, and written into plans.
 */

import type { Transformer } from "../model/module_graph.ts";
import { trajectoriesOf } from "./record.ts";

/**
 * Checks that there is a level for every kind of trajectory that a model has, and no other.
 *
 * @throws {RangeError} When a kind has no level, a level no kind, or one is not in 0 … 1.
 */
export function checkLevels(
  levels: Readonly<Record<string, number>>,
  transformer: Transformer,
): void {
  const kinds = levelKinds(transformer);
  const unknown = Object.keys(levels).find((kind) => !kinds.includes(kind));
  if (unknown !== undefined) {
    throw new RangeError(
      `Cannot calibrate: levels must be of ${kinds.join(", ")}: current value is of ${unknown}`,
    );
  }
  for (const kind of kinds) {
    const level = levels[kind];
    if (level !== undefined && level >= 0 && level <= 1) continue;
    throw new RangeError(
      `Cannot calibrate: level of ${kind} must be 0 … 1: current value is ${level}`,
    );
  }
}

/** Kinds that have a level of their own: the hidden state's and the modules'. */
function levelKinds(transformer: Transformer): readonly string[] {
  return [...new Set(trajectoriesOf(transformer).map(({ kind }) => kind))];
}

/** Levels meant for a DiT on the kinds of another model: its modules all have that of `attn`. */
export function levelsLike(
  { step = 0, attn = 0 }: Readonly<Record<string, number>>,
  transformer: Transformer,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    levelKinds(transformer).map((kind) => [kind, kind === "step" ? step : attn]),
  );
}

/** Levels as parameters of a policy: `level.step`, … */
export function levelParameters(
  levels: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(levels).map(([kind, q]) => [`level.${kind}`, q]));
}
