/**
 * What a graph holds while it runs, besides its weights, computed from its shapes before anything is loaded.
 */

import { type Dim, ELEMENT_BYTES, type GraphBuilder, type Operation } from "../../onnx/graph.ts";
import { productOf, sizeOf } from "../../onnx/sizes.ts";

/** Sizes that shapes name, the batch `"N"` among them. */
export type Sizes = Readonly<Record<string, number>>;

/**
 * The most bytes that values of the graph take at any moment: its inputs all along, a value from the operator
 * that makes it to the last that reads it, results to the end, and the scratch memory of attention. Values
 * that only change shape take none; what operators could do in place is not counted.
 */
export function workingSet(graph: GraphBuilder, sizes: Sizes): number {
  const counts = elementCounts(graph, sizes);
  const owner = owners(graph);
  const ending: string[][] = graph.operations.map(() => []); // Map.groupBy() is not in Node 20
  for (const [name, last] of lastUses(graph, owner)) ending[last]!.push(name); // an operation's index
  const types = new Map([...graph.inputs, ...graph.values].map(({ name, type }) => [name, type]));
  const bytesOf = (name: string): number =>
    ELEMENT_BYTES[types.get(name) ?? "float32"] * (counts.get(name) ?? 0);
  let live = graph.inputs.reduce((sum, { name }) => sum + bytesOf(name), 0);
  let most = live;
  for (const [at, operation] of graph.operations.entries()) {
    if (!RESHAPING.has(operation.operator)) {
      live += operation.outputs.reduce((sum, name) => sum + bytesOf(name), 0);
    }
    most = Math.max(most, live + scratchBytes(operation, counts, graph, sizes));
    for (const name of ending[at]!) live -= bytesOf(name); // one for each operation
  }
  return most;
}

/** Operators whose result lies where their operand does. */
const RESHAPING: ReadonlySet<string> = new Set(["Reshape"]);
const ATTENTION = "MultiHeadAttention";

/** Elements of every float value. */
function elementCounts(graph: GraphBuilder, sizes: Sizes): ReadonlyMap<string, number> {
  const nodes = [...graph.inputs, ...graph.parameters, ...graph.constants, ...graph.values];
  return new Map(nodes.map(({ name, dims }) => [name, countOf(dims, sizes)]));
}

function countOf(dims: readonly Dim[], sizes: Sizes): number {
  const count = sizeOf(productOf(dims), sizes);
  if (!Number.isNaN(count)) return count;
  throw new RangeError(`Cannot estimate memory: sizes must name all of [${dims}]`);
}

function widthOf(dims: readonly Dim[]): number {
  const width = dims.at(-1);
  return typeof width === "number" ? width : 1;
}

/** The value whose memory a value uses: its own, or that of what it was reshaped from. */
function owners(graph: GraphBuilder): (name: string) => string {
  const origin = new Map<string, string>();
  const owner = (name: string): string => origin.get(name) ?? name;
  for (const { operator, inputs, outputs } of graph.operations) {
    if (RESHAPING.has(operator)) origin.set(outputs[0]!, owner(inputs[0]!)); // one in, one out
  }
  return owner;
}

/** By value with memory of its own: the last operator that reads it; results and inputs stay. */
function lastUses(
  graph: GraphBuilder,
  owner: (name: string) => string,
): ReadonlyMap<string, number> {
  const last = new Map<string, number>();
  for (const [at, { inputs, outputs }] of graph.operations.entries()) {
    for (const name of [...outputs, ...inputs]) last.set(owner(name), at);
  }
  const stays = [...graph.outputs.map(({ node }) => node), ...graph.inputs];
  for (const { name } of [...stays, ...graph.parameters, ...graph.constants]) {
    last.delete(owner(name));
  }
  return last;
}

/** Attention splits heads of its operands into copies, and holds every head's scores. */
function scratchBytes(
  { operator, inputs, attributes }: Operation,
  counts: ReadonlyMap<string, number>,
  graph: GraphBuilder,
  sizes: Sizes,
): number {
  if (operator !== ATTENTION) return 0;
  const [q = 0, k = 0, v = 0] = inputs.map((name) => counts.get(name) ?? 0);
  const rows = sizes["N"] ?? 1;
  const nodes = [...graph.inputs, ...graph.values];
  const width = widthOf(nodes.find(({ name }) => name === inputs[0])!.dims); // q is one of them
  const heads = Number(attributes["num_heads"]);
  const scores = heads * (q / width) * (k / width / rows);
  return 4 * (q + k + v + scores + q);
}
