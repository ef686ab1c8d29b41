/**
 * Typed operators: each checks its shapes, adds itself to a graph and returns the result's node.
 *
 * Shapes in comments and errors: N batch, T tokens, D width, H heads.
 *
 * *Source:* ONNX operator specification, opset 20; com.microsoft operators of ONNX Runtime.
 *
 * @module
 */

import { type Dim, expectDims, type GraphBuilder, type Node } from "./graph.ts";

const INT64 = 7; // TensorProto.DataType

/** Elementwise sum with broadcasting. */
export function add(graph: GraphBuilder, a: Node, b: Node): Node {
  return graph.apply("Add", [a, b], broadcast("Add", a.dims, b.dims));
}

/** Elementwise difference with broadcasting. */
export function subtract(graph: GraphBuilder, a: Node, b: Node): Node {
  return graph.apply("Sub", [a, b], broadcast("Sub", a.dims, b.dims));
}

/** Elementwise product with broadcasting. */
export function multiply(graph: GraphBuilder, a: Node, b: Node): Node {
  return graph.apply("Mul", [a, b], broadcast("Mul", a.dims, b.dims));
}

/** `x · sigmoid(x)`. */
export function silu(graph: GraphBuilder, x: Node): Node {
  return multiply(graph, x, graph.apply("Sigmoid", [x], x.dims));
}

/** The tanh form of GELU, exact to the formula of PyTorch's `approximate="tanh"`. */
export function geluTanh(graph: GraphBuilder, x: Node): Node {
  return graph.apply("Gelu", [x], x.dims, { attributes: { approximate: "tanh" } });
}

/** Layer normalisation over the last axis without scale and shift, one fused operator. */
export function layerNorm(graph: GraphBuilder, x: Node, epsilon: number): Node {
  const width = fixed("LayerNormalization", x.dims.at(-1));
  const ones = graph.constant([width], new Array<number>(width).fill(1), "float32");
  return graph.apply("LayerNormalization", [x, ones], x.dims, {
    attributes: { axis: -1, epsilon: { float: epsilon } },
  });
}

/** `x·Wᵀ + b` over the last axis, W `(out, in)` and b `(out)` as PyTorch's Linear stores them. */
export function linear(graph: GraphBuilder, x: Node, weight: Node, bias: Node): Node {
  const width = fixed("Linear", x.dims.at(-1));
  const out = fixed("Linear", weight.dims[0]);
  expectDims("Linear weight", weight.dims, [out, width]);
  expectDims("Linear bias", bias.dims, [out]);
  const rows = x.dims.length === 2 ? x : reshape(graph, x, [-1, width], ["rows", width]);
  const result = graph.apply("Gemm", [rows, weight, bias], [rows.dims[0]!, out], { // rank 2
    attributes: { transB: 1 },
  });
  if (x.dims.length === 2) return result;
  const dims = [...x.dims.slice(0, -1), out];
  return reshape(graph, result, runtimeShape(dims), dims);
}

/** Scaled dot-product attention of all heads; q and the result are `(N, T, D)`, k and v `(N, T′, D)`. */
export function attention(
  graph: GraphBuilder,
  [q, k, v]: readonly [Node, Node, Node],
  heads: number,
): Node {
  const width = fixed("attention", q.dims[2]);
  expectDims("attention key", k.dims, [q.dims[0]!, k.dims[1] ?? "tokens", width]); // q has rank 3
  expectDims("attention value", v.dims, k.dims);
  expectMultiple("attention width", width, heads);
  return graph.apply("MultiHeadAttention", [q, k, v], q.dims, {
    domain: "com.microsoft",
    attributes: { num_heads: heads },
  });
}

/** Cuts the last axis into equal parts. */
export function splitLast(graph: GraphBuilder, x: Node, parts: number): Node[] {
  const width = fixed("Split", x.dims.at(-1));
  expectMultiple("Split width", width, parts);
  const dims = [...x.dims.slice(0, -1), width / parts];
  return graph.applyMany("Split", [x], new Array<typeof dims>(parts).fill(dims), {
    attributes: { axis: -1, num_outputs: parts },
  });
}

/** Same numbers, other shape; `target` as ONNX reads it (0 keeps a size, -1 is inferred). */
export function reshape(
  graph: GraphBuilder,
  x: Node,
  target: readonly number[],
  dims: readonly Dim[],
): Node {
  expectSameCount(x.dims, dims);
  return graph.apply("Reshape", [x, graph.constant([target.length], target, "int64")], dims);
}

/** Reorders axes: axis i of the result is axis `order[i]` of x. */
export function transpose(graph: GraphBuilder, x: Node, order: readonly number[]): Node {
  const axes = x.dims.map((_, axis) => axis);
  expectDims("Transpose axes", order.toSorted((a, b) => a - b), axes);
  const dims = order.map((axis) => x.dims[axis]!); // each axis once
  return graph.apply("Transpose", [x], dims, { attributes: { perm: order } });
}

/** Rows `first … first + count − 1` of one axis. */
export function slice(
  graph: GraphBuilder,
  x: Node,
  { axis, first, count }: { readonly axis: number; readonly first: number; readonly count: number },
): Node {
  const size = fixed("Slice", x.dims[axis]);
  if (first < 0 || count < 1 || first + count > size) {
    throw new RangeError(
      `Cannot build graph: Slice rows must be in 0 … ${size - 1}: ` +
        `current value is ${first} … ${first + count - 1}`,
    );
  }
  const bound = (value: number): Node => graph.constant([1], [value], "int64");
  const dims = x.dims.map((size, i) => (i === axis ? count : size));
  return graph.apply("Slice", [x, bound(first), bound(first + count), bound(axis)], dims);
}

/** Rows of a table `(rows, width)` at indices `(R)` given as float32: the result is `(R, width)`. */
export function gatherRows(graph: GraphBuilder, table: Node, indices: Node): Node {
  const whole = graph.apply("Cast", [indices], indices.dims, { attributes: { to: INT64 } });
  return graph.apply("Gather", [table, whole], [...indices.dims, ...table.dims.slice(1)], {
    attributes: { axis: 0 },
  });
}

/** Joins along one axis. */
export function concat(graph: GraphBuilder, parts: readonly Node[], axis: number): Node {
  const first = parts[0];
  if (first === undefined) throw new RangeError("Cannot build graph: Concat needs a part");
  const along = ({ dims }: Node, size: Dim): Dim[] => dims.map((d, i) => (i === axis ? size : d));
  for (const part of parts) expectDims("Concat part", along(part, "any"), along(first, "any"));
  const total = parts.reduce((sum, part) => sum + fixed("Concat", part.dims[axis]), 0);
  const dims = along(first, total);
  return graph.apply("Concat", parts, dims, { attributes: { axis } });
}

/** A shape constant for `dims` whose only size unknown before the run is the first. */
export function runtimeShape(dims: readonly Dim[]): number[] {
  return dims.map((size, i) => (i === 0 && typeof size === "string" ? -1 : fixed("Reshape", size)));
}

function broadcast(operator: string, a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  const padded = (dims: readonly Dim[]): readonly Dim[] => [
    ...new Array<Dim>(rank - dims.length).fill(1),
    ...dims,
  ];
  const other = padded(b);
  return padded(a).map((size, i) => {
    const match = other[i]!; // both have `rank` sizes
    if (size !== match && size !== 1 && match !== 1) {
      throw new RangeError(
        `Cannot build graph: ${operator} shapes must fit: current value is [${a}] and [${b}]`,
      );
    }
    return size === 1 ? match : size;
  });
}

/** Refuses shapes whose known sizes cannot hold equally many numbers; unknown sizes must be the same. */
function expectSameCount(from: readonly Dim[], to: readonly Dim[]): void {
  const unknown = (dims: readonly Dim[]): string => `${dims.filter((d) => typeof d === "string")}`;
  const count = (dims: readonly Dim[]): number =>
    dims.reduce<number>((product, size) => product * (typeof size === "string" ? 1 : size), 1);
  if (unknown(from) !== unknown(to) || count(from) === count(to)) return;
  throw new RangeError(
    `Cannot build graph: Reshape must keep the count of [${from}]: current value is [${to}]`,
  );
}

function expectMultiple(what: string, size: number, parts: number): void {
  if (size % parts === 0) return;
  throw new RangeError(
    `Cannot build graph: ${what} must be a multiple of ${parts}: current value is ${size}`,
  );
}

function fixed(operator: string, size: Dim | undefined): number {
  if (typeof size === "number") return size;
  throw new RangeError(
    `Cannot build graph: ${operator} needs a known size: current value is ${size}`,
  );
}
