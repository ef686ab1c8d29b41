/**
 * The numbers of one step that a graph takes beside tensors of the run.
 */

import type { Backend } from "../../backend/backend.ts";
import type { Condition, Transformer } from "../../model/module_graph.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ConditioningTable } from "../conditioning.ts";
import type { Values } from "../device_values.ts";
import type { ChosenTokens } from "./chosen_tokens.ts";
import { WEIGHTS } from "./kept_features.ts";
import { baseName, placesName, tokensName } from "./partial.ts";
import { forecastWeights, modulated, MODULATION, type Part, type Segment } from "./segment.ts";

/** Uploads modulation vectors, weights of kept features and chosen tokens, where a segment takes any; the caller disposes of them. */
export function uploadNumbers(
  segment: Segment,
  transformer: Transformer,
  { backend, table, batch, chosen }: {
    readonly backend: Backend;
    readonly chosen: ReadonlyMap<number, ChosenTokens>;
    readonly table: ConditioningTable;
    readonly batch: readonly Condition[];
  },
): Values {
  const parts = modulated(transformer, segment);
  const weights = Float32Array.from(forecastWeights(segment));
  const tensors: Readonly<Record<string, Tensor>> = {
    ...(parts.length > 0 && { [MODULATION]: table.gather(parts, batch) }),
    ...(weights.length > 0 && { [WEIGHTS]: { dims: [weights.length], data: weights } }),
    ...Object.assign({}, ...segment.map((part) => tokenNumbers(part, transformer, chosen))),
  };
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, backend.upload(tensor)]),
  );
}

/** The tokens that a part computes, and what stands for its kept feature where these are all. */
function tokenNumbers(
  part: Part,
  { modules }: Transformer,
  chosen: ReadonlyMap<number, ChosenTokens>,
): Readonly<Record<string, Tensor>> {
  const given = part.kind === "module" ? chosen.get(part.index) : undefined;
  if (part.kind !== "module" || given === undefined) return {};
  const { name } = modules[part.index]!; // parts are of this model
  const { tokens, places, base } = given;
  return {
    ...{ [tokensName(name)]: tokens, [placesName(name)]: places },
    ...(base !== undefined && { [baseName(name)]: base }),
  };
}
