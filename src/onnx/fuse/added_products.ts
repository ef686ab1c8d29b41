/**
 * A sum of which one operand is a matrix product: the operator of the product adds the other.
 */

import type { Constant, Graph, Node, Operation } from "../graph.ts";
import { Uses } from "../uses.ts";

/** `y + x·Wᵀ`, the product in the shape of y. */
interface AddedProduct {
  readonly product: Operation;
  readonly reshape: Operation;
  readonly other: string;
}

/** Lets products without a bias add what is added to them. */
export function addInProducts(graph: Graph): Graph {
  const uses = new Uses(graph);
  const gone = new Set<Operation>();
  const instead = new Map<Operation, readonly Operation[]>();
  const values: Node[] = [...graph.values];
  const constants = new Map<string, Constant>();
  for (const sum of graph.operations) {
    const found = addedProduct(sum, uses);
    if (found === undefined || gone.has(sum)) continue;
    const { product, reshape, other } = found;
    gone.add(product).add(reshape);
    const rows = uses.node(product.outputs[0]!)!; // (rows, width)
    const added = uses.node(other)!.dims.length === 1 ? [] : [asRows(other, rows, constants)];
    if (added.length > 0) values.push({ ...rows, name: added[0]!.outputs[0]! });
    const addend = added[0]?.outputs[0] ?? other;
    instead.set(sum, [
      ...added,
      { ...product, inputs: [...product.inputs, addend] },
      { ...reshape, outputs: sum.outputs },
    ]);
  }
  const operations = graph.operations.flatMap((operation) =>
    instead.get(operation) ?? (gone.has(operation) ? [] : [operation])
  );
  return { ...graph, operations, values, constants: [...graph.constants, ...constants.values()] };
}

/** The product in a sum, which nobody else reads and which adds nothing yet. */
function addedProduct(
  { operator, inputs, outputs }: Operation,
  uses: Uses,
): AddedProduct | undefined {
  if (operator !== "Add") return undefined;
  const wanted = uses.node(outputs[0]!)!.dims;
  for (const [i, name] of inputs.entries()) {
    const reshape = alone(name, uses) ? uses.maker(name) : undefined;
    if (reshape?.operator !== "Reshape" || `${uses.node(name)!.dims}` !== `${wanted}`) continue;
    const product = alone(reshape.inputs[0]!, uses) ? uses.maker(reshape.inputs[0]!) : undefined;
    const other = inputs[1 - i]!;
    const { dims } = uses.node(other)!;
    const fits = `${dims}` === `${wanted}` || `${dims}` === `${wanted.slice(-1)}`;
    if (product?.operator === "Gemm" && product.inputs.length === 2 && fits) {
      return { product, reshape, other };
    }
  }
  return undefined;
}

/** Whether one operator reads a value and nobody else has it. */
function alone(name: string, uses: Uses): boolean {
  return uses.readers(name).length === 1 && !uses.isResult(name);
}

/** A value in the shape of a product's rows. */
function asRows(name: string, { dims }: Node, constants: Map<string, Constant>): Operation {
  const target = [-1, Number(dims.at(-1))]; // -1: as many as there are
  const shape: Constant = {
    name: `rows.of.${target[1]}`,
    type: "int64",
    dims: [target.length],
    values: target,
  };
  constants.set(shape.name, shape);
  const outputs = [`${name}.rows`];
  return { operator: "Reshape", domain: "", inputs: [name, shape.name], outputs, attributes: {} };
}
