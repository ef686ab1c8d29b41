/**
 * Makes of a graph one of fewer operators, for a backend on which each of them has a price of its own: WebGPU, where an
 * operator is a dispatch. Results are the same but for the order of a sum's terms.
 */

import type { Dim, Graph, Node, Operation } from "./graph.ts";
import { addInProducts } from "./fuse/added_products.ts";
import { attendTogether } from "./fuse/attended_rows.ts";
import { keepJoined } from "./fuse/joined.ts";
import { type Layout, leaveLayouts } from "./fuse/layouts.ts";
import { renamed } from "./fuse/renamed.ts";
import { withoutUnused } from "./fuse/unused.ts";
import { Uses } from "./uses.ts";

/** A graph of fewer operators, and what is asked of its inputs in return. */
export interface Fused {
  readonly graph: Graph;
  /** Inputs to which a number must have been added before they are given. */
  readonly offsets: ReadonlyMap<string, number>;
  /** New inputs that stand for several, one after the other along a new first axis. */
  readonly stacks: ReadonlyMap<string, readonly string[]>;
  /** Inputs and results whose numbers come in another order. */
  readonly layouts: ReadonlyMap<string, Layout>;
}

export interface FuseOptions {
  /** Whether inputs of one shape can be given as one, in this order. */
  readonly canStack: (inputs: readonly string[]) => boolean;
  /** Whether the numbers of an input or result may come in another order; absent = none's. */
  readonly mayRearrange?: (name: string) => boolean;
  /** Sizes that shapes name, where they are known: `N` is rows of the batch. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** Fuses what can be fused. Inputs that nothing reads are left out. */
export function fuse(graph: Graph, options: FuseOptions): Fused {
  const arranged = leaveLayouts(shareEqual(graph), options.mayRearrange ?? (() => false));
  const moved = moveOffsets(arranged.graph);
  const together = attendTogether(moved.graph, options.sizes ?? {});
  const joined = addInProducts(withoutUnused(keepJoined(together)));
  const { graph: merged, stacks } = stackMerges(joined, options);
  const { layouts } = arranged;
  return { graph: withoutUnused(fuseNorms(merged)), offsets: moved.offsets, stacks, layouts };
}

/** Of equal operators on equal operands one is enough. */
function shareEqual(graph: Graph): Graph {
  const results = new Set(graph.outputs.map(({ node }) => node.name));
  const known = new Map<string, Operation>();
  const names = new Map<string, string>();
  const operations: Operation[] = [];
  const first = firstOfShape(graph);
  for (const operation of graph.operations) {
    const { operator, domain, attributes } = operation;
    const inputs = operation.inputs.map((name) => names.get(name) ?? name)
      .map((name) => operator === "Shape" ? first(name) : name);
    const key = JSON.stringify([operator, domain, inputs, attributes]);
    const same = known.get(key);
    if (same !== undefined && !operation.outputs.some((name) => results.has(name))) {
      operation.outputs.forEach((name, i) => names.set(name, same.outputs[i]!)); // as many
      continue;
    }
    known.set(key, operation);
    operations.push({ ...operation, inputs });
  }
  const { name, inputs, parameters, constants, values, outputs } = graph; // a builder has getters
  return { name, inputs, parameters, constants, values, outputs, operations };
}

/** Finds the first value of the shape that a value has: sizes of one name are equal. */
function firstOfShape({ inputs, values }: Graph): (name: string) => string {
  const shapes = new Map([...inputs, ...values].map(({ name, dims }) => [name, dims.join()]));
  const first = new Map<string, string>();
  for (const [name, shape] of shapes) if (!first.has(shape)) first.set(shape, name);
  return (name) => first.get(shapes.get(name) ?? "") ?? name;
}

/** A number that is added to an input wherever it is read is added by who gives it: the 1 of `1 + scale`. */
function moveOffsets(graph: Graph): Pick<Fused, "graph" | "offsets"> {
  const uses = new Uses(graph);
  const offsets = new Map<string, number>();
  const names = new Map<string, string>();
  for (const { name } of graph.inputs) {
    const readers = uses.readers(name);
    const [number, ...others] = readers.map((reader) => addedNumber(reader, name, uses));
    if (number === undefined || others.some((other) => other !== number)) continue;
    if (readers.some(({ outputs }) => uses.isResult(outputs[0]!))) continue; // Add has one
    offsets.set(name, number);
    for (const { outputs: [sum] } of readers) names.set(sum!, name);
  }
  return { graph: renamed(graph, names), offsets };
}

/** The number that an operator adds to a value, if it does nothing else. */
function addedNumber(
  { operator, inputs }: Operation,
  name: string,
  uses: Uses,
): number | undefined {
  const other = inputs.find((input) => input !== name);
  const constant = operator === "Add" && other !== undefined ? uses.constant(other) : undefined;
  return constant?.values.length === 1 ? constant.values[0] : undefined;
}

/** One gated addition `x + gate · feature` of inputs to a sum. */
interface Merge {
  readonly sum: Operation;
  readonly product: Operation;
  readonly stream: string;
  readonly gate: string;
  readonly feature: string;
}

/** Gated additions one after another become one contraction over all of their features. */
function stackMerges(graph: Graph, { canStack }: FuseOptions): Pick<Fused, "graph" | "stacks"> {
  const uses = new Uses(graph);
  const merges = new Map<string, Merge>();
  for (const sum of graph.operations) {
    const merge = mergeOf(sum, uses);
    if (merge !== undefined) merges.set(sum.outputs[0]!, merge);
  }
  const stacks = new Map<string, readonly string[]>();
  const inputs: Node[] = [...graph.inputs];
  const values: Node[] = [...graph.values];
  const gone = new Set<Operation>();
  const instead = new Map<Operation, readonly Operation[]>();
  for (const chain of chainsOf(merges, uses)) {
    const [features, gates] = [chain.map((it) => it.feature), chain.map((it) => it.gate)];
    if (chain.length < 2 || !canStack(features)) continue;
    const stack = stackOf(chain, uses);
    stacks.set(stack.features.name, features).set(stack.gates.name, gates);
    inputs.push(stack.features, stack.gates);
    values.push(stack.added);
    for (const { sum, product } of chain) gone.add(sum).add(product);
    instead.set(chain.at(-1)!.sum, stack.operations); // there are two
  }
  const operations = graph.operations.flatMap((operation) =>
    instead.get(operation) ?? (gone.has(operation) ? [] : [operation])
  );
  return { graph: { ...graph, inputs, values, operations }, stacks };
}

/** What stands for a chain of merges: its inputs, and operators. */
interface Stack {
  /** `(I, N, T, D)`. */
  readonly features: Node;
  /** `(I, N, D)`. */
  readonly gates: Node;
  /** The sum of gated features, `(N, T, D)`. */
  readonly added: Node;
  readonly operations: readonly Operation[];
}

function stackOf(chain: readonly Merge[], uses: Uses): Stack {
  const [{ stream, feature: first, gate: gateName }, { sum }] = [chain[0]!, chain.at(-1)!]; // not empty
  const [feature, gate] = [uses.node(first)!, uses.node(gateName)!]; // inputs of the graph
  const named = (of: Node, dims: readonly Dim[]): Node => ({
    ...of,
    name: `stack.${of.name}.${chain.length}`,
    dims: [chain.length, ...dims],
  });
  const features = named(feature, feature.dims);
  const gates = named(gate, [gate.dims[0]!, gate.dims[2]!]); // it is (N, 1, D)
  const added: Node = { ...feature, name: `${sum.outputs[0]}.stacked` };
  const contraction: Operation = {
    operator: "Einsum",
    domain: "",
    inputs: [features.name, gates.name],
    outputs: [added.name],
    attributes: { equation: "intd,ind->ntd" },
  };
  return {
    features,
    gates,
    added,
    operations: [contraction, { ...sum, inputs: [stream, added.name] }],
  };
}

/** `x + gate · feature` with gate `(N, 1, D)` and feature `(N, T, D)` both given, and read only here. */
function mergeOf(sum: Operation, uses: Uses): Merge | undefined {
  if (sum.operator !== "Add") return undefined;
  const [stream = "", name = ""] = sum.inputs;
  const product = uses.maker(name);
  if (product?.operator !== "Mul" || uses.readers(name).length > 1) return undefined;
  const [gate = "", feature = ""] = product.inputs;
  const own = [gate, feature].every((input) =>
    uses.isInput(input) && uses.readers(input).length === 1
  );
  const [gateDims = [], dims = []] = [gate, feature].map((input) => uses.node(input)?.dims);
  const gated = dims.length === 3 && `${gateDims}` === `${[dims[0], 1, dims[2]]}`;
  return own && gated ? { sum, product, stream, gate, feature } : undefined;
}

/** Merges of which each adds to the sum of the one before, which nobody else reads. */
function chainsOf(merges: ReadonlyMap<string, Merge>, uses: Uses): readonly (readonly Merge[])[] {
  const follows = ({ stream }: Merge): boolean =>
    merges.has(stream) && uses.readers(stream).length === 1 && !uses.isResult(stream);
  const chains = new Map<string, Merge[]>();
  for (const [name, merge] of merges) {
    const chain = follows(merge) ? chains.get(merge.stream)! : []; // merges are in execution order
    chains.delete(merge.stream);
    chains.set(name, [...chain, merge]);
  }
  return [...chains.values()];
}

/** A sum whose norm is taken: one operator makes both. */
function fuseNorms(graph: Graph): Graph {
  const uses = new Uses(graph);
  const norms = new Map<Operation, Operation>();
  for (const norm of graph.operations) {
    if (norm.operator !== "LayerNormalization" || norm.inputs.length !== 2) continue;
    const sum = uses.maker(norm.inputs[0]!); // its first operand
    if (sum?.operator !== "Add" || norms.has(sum)) continue;
    const [a, b] = sum.inputs.map((name) => uses.node(name)?.dims);
    const fits = `${a}` === `${b}` || `${[1, ...a?.slice(1) ?? []]}` === `${b}`; // positions have no batch
    if (a?.length === 3 && fits) norms.set(sum, norm);
  }
  const taken = new Set(norms.values());
  const operations = graph.operations.flatMap((operation): readonly Operation[] => {
    const norm = norms.get(operation);
    if (norm === undefined) return taken.has(operation) ? [] : [operation];
    return [{
      operator: "SkipLayerNormalization",
      domain: "com.microsoft",
      inputs: [...operation.inputs, norm.inputs[1]!],
      outputs: [norm.outputs[0]!, "", "", operation.outputs[0]!],
      attributes: { epsilon: norm.attributes["epsilon"]! },
    }];
  });
  return { ...graph, operations };
}
