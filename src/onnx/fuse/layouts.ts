/**
 * Leaves it to who gives an input, and to who takes a result, to rearrange its numbers: cutting latents into patches, and
 * putting pictures together again, are then no operators of a graph.
 */

import type { Dim, Graph, Node, Operation } from "../graph.ts";
import { Uses } from "../uses.ts";
import { renamed } from "./renamed.ts";

/** How the numbers of a value lie in another order: axis i there is axis `order[i]` of the value cut into `dims`. */
export interface Layout {
  /** Axes of the value, some of them cut into several; the batch is the first. */
  readonly dims: readonly Dim[];
  readonly order: readonly number[];
}

/** A graph, and the order in which it takes inputs and gives results, where that is not their own. */
export interface Arranged {
  readonly graph: Graph;
  readonly layouts: ReadonlyMap<string, Layout>;
}

/** Takes out of a graph what only rearranges inputs and results that may come in any order. */
export function leaveLayouts(graph: Graph, mayRearrange: (name: string) => boolean): Arranged {
  const uses = new Uses(graph);
  const layouts = new Map<string, Layout>();
  const names = new Map<string, string>();
  const inputs = graph.inputs.map((input): Node => {
    const moved = mayRearrange(input.name) ? movedInput(input, uses) : undefined;
    if (moved === undefined) return input;
    layouts.set(input.name, moved.layout);
    for (const value of moved.values) names.set(value.name, input.name);
    return { ...input, dims: moved.values.at(-1)!.dims }; // there are two
  });
  const gone = new Set<Operation>();
  const outputs = graph.outputs.map((output): Graph["outputs"][number] => {
    const moved = mayRearrange(output.name) ? movedOutput(output.node, uses) : undefined;
    if (moved === undefined) return output;
    layouts.set(output.name, moved.layout);
    for (const operation of moved.operations) gone.add(operation);
    return { ...output, node: moved.node };
  });
  const operations = graph.operations.filter((operation) => !gone.has(operation));
  return { graph: renamed({ ...graph, inputs, outputs, operations }, names), layouts };
}

/** An input that is cut, then transposed, and read by nobody else; `values` are what these two make. */
function movedInput(
  input: Node,
  uses: Uses,
): { readonly layout: Layout; readonly values: readonly Node[] } | undefined {
  const cut = onlyReader(input.name, "Reshape", uses);
  const move = cut && onlyReader(cut.outputs[0]!, "Transpose", uses);
  if (cut === undefined || move === undefined) return undefined;
  const values = [cut, move].map(({ outputs }) => uses.node(outputs[0]!)!); // of this graph
  const layout = { dims: values[0]!.dims, order: orderOf(move) };
  return keepsBatch(layout) && !uses.isResult(move.outputs[0]!) ? { layout, values } : undefined;
}

/** A result that is transposed, then joined; `node` is what it was before. */
function movedOutput(
  { name }: Node,
  uses: Uses,
):
  | { readonly layout: Layout; readonly node: Node; readonly operations: readonly Operation[] }
  | undefined {
  const join = uses.maker(name);
  const move = join?.operator === "Reshape" ? uses.maker(join.inputs[0]!) : undefined;
  if (join === undefined || move?.operator !== "Transpose") return undefined;
  const [source, moved] = [move.inputs[0]!, move.outputs[0]!];
  const isAlone = onlyReader(moved, "Reshape", uses) === join && uses.readers(name).length === 0;
  if (!isAlone || uses.maker(source) === undefined || uses.isResult(source)) return undefined;
  const order: number[] = [];
  orderOf(move).forEach((axis, i) => void (order[axis] = i));
  const layout = { dims: uses.node(moved)!.dims, order };
  if (!keepsBatch(layout)) return undefined;
  return { layout, node: uses.node(source)!, operations: [join, move] };
}

/** The operator that reads a value, if it is of this kind, and nobody else has the value. */
function onlyReader(name: string, operator: string, uses: Uses): Operation | undefined {
  const [reader, ...others] = uses.readers(name);
  const isAlone = others.length === 0 && !uses.isResult(name);
  return isAlone && reader?.operator === operator ? reader : undefined;
}

function orderOf({ attributes }: Operation): readonly number[] {
  const { perm } = attributes;
  return Array.isArray(perm) ? perm : []; // every Transpose here has one
}

/** Halves of a batch stay apart. */
function keepsBatch({ dims, order }: Layout): boolean {
  return order[0] === 0 && dims[0] === "N";
}
