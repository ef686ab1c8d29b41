/**
 * Features of modules on their way between graphs and what a run keeps.
 */

import type { Transformer } from "../../model/module_graph.ts";
import { loadsOf } from "../../plan/cells.ts";
import type { TrunkStep } from "../../plan/compile.ts";
import type { Values } from "../device_values.ts";
import { type FeatureCache, featureKey } from "../feature_cache.ts";
import type { StepInputs } from "../step_inputs.ts";
import type { ChosenTokens } from "./chosen_tokens.ts";
import { featureName } from "./kept_features.ts";
import { baseName } from "./partial.ts";
import { innerName, type ModulePart, type Segment, withBatch } from "./segment.ts";

/** What features of a step depend on. */
export interface FeatureCall extends StepInputs {
  readonly slot: string;
  /** By module: how many features are kept after it. */
  readonly keep: readonly number[];
  /** By module: the tokens that are computed, where they were chosen. */
  readonly chosen: ReadonlyMap<number, ChosenTokens>;
}

/** The kept features that a segment reads, by the names of its inputs. */
export function keptFeatures(
  { modules, sizes: own }: Transformer,
  segment: Segment,
  { features, slot, batch, chosen, sizes = own }: FeatureCall,
): Values {
  const entries = segment.flatMap((part) => {
    if (part.kind !== "module") return [];
    const module = modules[part.index]!; // parts are of this model
    const shapes = module.featureDims.map((dims) => withBatch(dims, batch.length, sizes));
    return agesOf(part, chosen).flatMap((age) => {
      const values = features.load(featureKey(slot, module), shapes, age);
      return namesOf(module, part.action, age).map((name, i) => [name, values[i]!] as const);
    });
  });
  return Object.fromEntries(entries);
}

/** Which of its kept features a part reads; where all tokens are computed, none. */
function agesOf(part: ModulePart, chosen: FeatureCall["chosen"]): readonly number[] {
  if (chosen.get(part.index)?.base !== undefined) return [];
  return Array.from({ length: loadsOf(part.action, part.weights) }, (_, age) => age);
}

function namesOf(
  { name, featureDims }: Transformer["modules"][number],
  action: ModulePart["action"],
  age: number,
): readonly string[] {
  return featureDims.map((_, i) =>
    action === "partial" ? baseName(name) : featureName(name, i, age)
  );
}

/** Keeps the features that a segment made, until the step ends beside those that it read; returns its other results. */
export function storeFeatures(
  { modules }: Transformer,
  segment: Segment,
  { results, call }: { readonly results: Values; readonly call: FeatureCall },
): Values {
  const { features, slot, keep } = call;
  const rest = { ...results };
  for (const part of segment) {
    if (part.kind !== "module" || !part.store) continue;
    const module = modules[part.index]!; // parts are of this model
    const names = module.featureDims.map((_, i) => featureName(module.name, i));
    const read = agesOf(part, call.chosen).length;
    features.store(
      featureKey(slot, module),
      names.map((name) => results[name]!),
      (keep[part.index] ?? 0) + read,
    );
    for (const name of names) delete rest[name];
    if (!part.probe) continue;
    const inner = innerName(module.name);
    features.store(`${featureKey(slot, module)} inner`, [results[inner]!]);
    delete rest[inner];
  }
  return rest;
}

/** Drops what a step read and no later one will. */
export function dropFeatures(
  { modules }: Transformer,
  { slot, actions }: TrunkStep,
  features: FeatureCache,
): void {
  actions.forEach(({ kind, weights, keep }, index) => {
    if (loadsOf(kind, weights) === 0) return;
    features.trim(featureKey(slot, modules[index]!), keep); // a step is of this model
  });
}
