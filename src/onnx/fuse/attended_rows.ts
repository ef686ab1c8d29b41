/**
 * Attention of few tokens: some rows of a batch are taken as one sequence, in which a mask keeps them apart. Below 32 tokens
 * onnxruntime-web takes a way that was made for one new token of a long text: it is a dispatch more, and slow on adapters
 * on which barriers are. What a mask hides gets a share of exactly nothing.
 */

import type { Constant, Graph, Node, Operation } from "../graph.ts";
import { sizeOf } from "../sizes.ts";
import { Uses } from "../uses.ts";

/** Tokens from which on attention is one dispatch. *Source:* onnxruntime 1.30, `use_split_reduce`. */
const ENOUGH = 32;
/** Added to the scores of other rows: float16 has it, and e to it is nothing. */
const HIDDEN = -60_000;

/** Joins rows in attention where sizes are known and their number allows it. */
export function attendTogether(graph: Graph, sizes: Readonly<Record<string, number>>): Graph {
  const uses = new Uses(graph);
  const constants = new Map<string, Constant>();
  const values: Node[] = [...graph.values];
  const operations = graph.operations.flatMap((operation): readonly Operation[] => {
    const together = togetherOf(operation, uses, sizes);
    if (together === undefined) return [operation];
    const { tokens, rows, width } = together;
    const length = tokens * rows;
    const joined = constantOf(`shape.${length}.${width}`, [-1, length, width], constants);
    const apart = constantOf(`shape.${tokens}.${width}`, [-1, tokens, width], constants);
    const mask = maskOf(tokens, rows);
    constants.set(mask.name, mask);
    const [result = ""] = operation.outputs;
    const { type } = uses.node(result)!; // what an operator makes
    const made = (name: string): string => {
      values.push({ name, type, dims: ["rows", length, width] });
      return name;
    };
    const operands = operation.inputs.map((name) => made(`${name}.${result}.joined`));
    const mixed = made(`${result}.joined`);
    return [
      ...operands.map((name, i) => reshape(operation.inputs[i]!, joined, name)),
      { ...operation, inputs: [...operands, "", "", mask.name], outputs: [mixed] },
      reshape(mixed, apart, result),
    ];
  });
  return { ...graph, operations, values, constants: [...graph.constants, ...constants.values()] };
}

/** How rows are joined in an operator: so many of them, of so many tokens of this width; `undefined` = not. */
function togetherOf(
  { operator, inputs }: Operation,
  uses: Uses,
  sizes: Readonly<Record<string, number>>,
): { readonly tokens: number; readonly rows: number; readonly width: number } | undefined {
  if (operator !== "MultiHeadAttention" || inputs.length !== 3) return undefined;
  const shapes = inputs.map((name) => uses.node(name)!.dims.map((size) => sizeOf(size, sizes)));
  const [[all = NaN, tokens = NaN, width = NaN] = [], ...others] = shapes;
  if (others.some((shape) => `${shape}` !== `${shapes[0]}`)) return undefined;
  if (Number.isNaN(all * tokens * width) || tokens >= ENOUGH) return undefined;
  for (let rows = Math.ceil(ENOUGH / tokens); rows <= all; rows++) {
    if (all % rows === 0) return rows * tokens < 2 * ENOUGH ? { tokens, rows, width } : undefined;
  }
  return undefined;
}

/** `(1, 1, length, length)`: what is added to scores. */
function maskOf(tokens: number, rows: number): Constant {
  const length = tokens * rows;
  const rowOf = (token: number): number => Math.floor(token / tokens);
  const values = Array.from(
    { length: length ** 2 },
    (_, i) => rowOf(i % length) === rowOf(Math.floor(i / length)) ? 0 : HIDDEN,
  );
  const dims = [1, 1, length, length];
  return { name: `mask.${tokens}.${rows}`, type: "float32", dims, values };
}

function constantOf(
  name: string,
  values: readonly number[],
  constants: Map<string, Constant>,
): Constant {
  const constant: Constant = { name, type: "int64", dims: [values.length], values };
  constants.set(name, constant);
  return constant;
}

function reshape(from: string, { name }: Constant, result: string): Operation {
  return {
    operator: "Reshape",
    domain: "",
    inputs: [from, name],
    outputs: [result],
    attributes: {},
  };
}
