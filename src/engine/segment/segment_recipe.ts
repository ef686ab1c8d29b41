/**
 * The session of a segment. Where sessions own their weights, one graph of a module serves every step.
 */

import type { Backend } from "../../backend/backend.ts";
import type { Transformer } from "../../model/module_graph.ts";
import { makes } from "../../plan/cells.ts";
import type { GraphRecipe } from "../load_graph.ts";
import { buildSegment, type ModulePart, type Segment, segmentKey } from "./segment.ts";

/** The graph of a segment. Where sessions own weights one graph serves every step: it has all features as outputs. */
export function segmentRecipe(
  transformer: Transformer,
  segment: Segment,
  weights: Backend["weights"],
): GraphRecipe {
  if (weights === "inputs") return recipeOf(transformer, segment);
  const owned = changed(segment, { store: true });
  const recipe = recipeOf(transformer, owned);
  const others = FORMS.map((form) => segmentKey(changed(owned, form)));
  const replaces = [...new Set(others)].filter((key) => key !== recipe.key);
  return { ...recipe, ...(replaces.length > 0 && { replaces }) };
}

function recipeOf(transformer: Transformer, segment: Segment): GraphRecipe {
  return {
    key: segmentKey(segment),
    build: (lowering) => buildSegment(transformer, segment, lowering),
  };
}

/** What graphs of one module that runs may differ in; one of them holds its weights. */
const FORMS: readonly Pick<ModulePart, "action" | "probe" | "attended">[] = [
  { action: "partial", probe: false, attended: false },
  ...[false, true].flatMap((probe) =>
    [false, true].map((attended) => ({ action: "run" as const, probe, attended }))
  ),
];

/** A copy of a segment with changes to the modules that run. */
function changed(segment: Segment, change: Partial<ModulePart>): Segment {
  return segment.map((part) =>
    part.kind === "module" && makes(part.action) ? { ...part, ...change } : part
  );
}
