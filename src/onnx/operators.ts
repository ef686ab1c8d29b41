/**
 * Typed operators: each checks its shapes, adds itself to a graph and returns the result's node.
 *
 * Shapes in comments and errors: N batch, T tokens, D width, H heads.
 *
 * *Source:* ONNX operator specification, opset 20; com.microsoft operators of ONNX Runtime.
 */

import { type Dim, expectDims, type GraphBuilder, type Node } from "./graph.ts";
import { productOf, sumOf } from "./sizes.ts";

const INT64 = 7; // TensorProto.DataType

export function add(graph: GraphBuilder, a: Node, b: Node): Node {
  return graph.apply("Add", [a, b], broadcast("Add", a.dims, b.dims));
}

export function subtract(graph: GraphBuilder, a: Node, b: Node): Node {
  return graph.apply("Sub", [a, b], broadcast("Sub", a.dims, b.dims));
}

export function multiply(graph: GraphBuilder, a: Node, b: Node): Node {
  return graph.apply("Mul", [a, b], broadcast("Mul", a.dims, b.dims));
}

/** `x · by`. */
export function scaled(graph: GraphBuilder, x: Node, by: number): Node {
  return multiply(graph, x, graph.constant([1], [by], "float32"));
}

/** `x · sigmoid(x)`. */
export function silu(graph: GraphBuilder, x: Node): Node {
  return multiply(graph, x, graph.apply("Sigmoid", [x], x.dims));
}

export function relu(graph: GraphBuilder, x: Node): Node {
  return graph.apply("Relu", [x], x.dims);
}

export function tanh(graph: GraphBuilder, x: Node): Node {
  return graph.apply("Tanh", [x], x.dims);
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

/** `x·Wᵀ + b` over the last axis, W `(out, in)` and b `(out)` as PyTorch's Linear stores them; b may be absent. */
export function linear(graph: GraphBuilder, x: Node, weight: Node, bias?: Node): Node {
  const width = fixed("Linear", x.dims.at(-1));
  const out = fixed("Linear", weight.dims[0]);
  expectDims("Linear weight", weight.dims, [out, width]);
  if (bias !== undefined) expectDims("Linear bias", bias.dims, [out]);
  const rows = asRows(graph, x);
  const operands = bias === undefined ? [rows, weight] : [rows, weight, bias];
  const result = graph.apply("Gemm", operands, [rows.dims[0]!, out], { // rank 2
    attributes: { transB: 1 },
  });
  return likeRows(graph, result, x, out);
}

/** x with all but its last axis as one: `(rows, width)`. */
export function asRows(graph: GraphBuilder, x: Node): Node {
  if (x.dims.length === 2) return x;
  return reshape(graph, x, [productOf(x.dims.slice(0, -1)), fixed("rows", x.dims.at(-1))]);
}

/** Gives rows `(rows, out)` the shape of x but for its width. */
export function likeRows(graph: GraphBuilder, rows: Node, x: Node, out: number): Node {
  if (x.dims.length === 2) return rows;
  const dims = [...x.dims.slice(0, -1), out];
  if (dims.filter((size) => typeof size === "string").length < 2) return reshape(graph, rows, dims);
  const sizes = shapeOf(graph, x, { first: 0, count: dims.length - 1 });
  const width = graph.constant([1], [out], "int64");
  const target = graph.apply("Concat", [sizes, width], [dims.length], { attributes: { axis: 0 } });
  return reshapeTo(graph, rows, target, dims);
}

/** Some sizes of x, when the graph runs: int64 `(count)`. */
function shapeOf(
  graph: GraphBuilder,
  x: Node,
  { first, count }: { readonly first: number; readonly count: number },
): Node {
  return graph.apply("Shape", [x], [count], { attributes: { start: first, end: first + count } });
}

/** RMS normalisation over the last axis with scale `(width)`. */
export function rmsNorm(
  graph: GraphBuilder,
  x: Node,
  { scale, epsilon }: { readonly scale: Node; readonly epsilon: number },
): Node {
  expectDims("SimplifiedLayerNormalization scale", scale.dims, [
    fixed("SimplifiedLayerNormalization", x.dims.at(-1)),
  ]);
  return graph.apply("SimplifiedLayerNormalization", [x, scale], x.dims, {
    attributes: { axis: -1, epsilon: { float: epsilon } },
  });
}

/**
 * Rotates neighbouring pairs of every head of x `(N, S, D)` by the angles whose cosines and sines are
 * `(S, pairs of a head)`.
 */
export function rotatePairs(
  graph: GraphBuilder,
  x: Node,
  { cos, sin }: { readonly cos: Node; readonly sin: Node },
): Node {
  expectDims("RotaryEmbedding sines", sin.dims, cos.dims);
  expectDims("RotaryEmbedding rows", [cos.dims[0]!], [x.dims[1]!]);
  const pairs = fixed("RotaryEmbedding", cos.dims[1]);
  const width = fixed("RotaryEmbedding", x.dims[2]);
  expectMultiple("RotaryEmbedding width", width, 2 * pairs);
  const first = graph.constant([1], [0], "int64"); // the row of the first token
  return graph.apply("RotaryEmbedding", [x, first, cos, sin], x.dims, {
    domain: "com.microsoft",
    attributes: { interleaved: 1, num_heads: width / (2 * pairs) },
  });
}

/** The same numbers under another name: a graph's output may not be its input. */
export function identity(graph: GraphBuilder, x: Node): Node {
  return graph.apply("Identity", [x], x.dims);
}

/** Cuts x `(N, S, D)` after as many tokens as `like` `(N, M, …)` has; `rest` names how many are left. */
export function splitTokens(
  graph: GraphBuilder,
  x: Node,
  { like, rest }: { readonly like: Node; readonly rest: Dim },
): readonly [Node, Node] {
  const [batch, , width] = x.dims;
  const constant = (value: number): Node => graph.constant([1], [value], "int64");
  const cut = shapeOf(graph, like, { first: 1, count: 1 });
  const slice = (first: Node, end: Node, tokens: Dim): Node =>
    graph.apply("Slice", [x, first, end, constant(1)], [batch!, tokens, width!]); // x has rank 3
  return [
    slice(constant(0), cut, like.dims[1]!),
    slice(cut, constant(Number.MAX_SAFE_INTEGER), rest),
  ];
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

/**
 * Same numbers, other shape. A size that has only a name is kept where x has it on the same axis; one at
 * most of the others is found out when the graph runs.
 */
export function reshape(graph: GraphBuilder, x: Node, dims: readonly Dim[]): Node {
  const [KEPT, FOUND] = [0, -1]; // as ONNX writes them
  const target = dims.map((size, axis) =>
    typeof size === "number" ? size : size === x.dims[axis] ? KEPT : FOUND
  );
  if (target.filter((size) => size === FOUND).length > 1) {
    throw new RangeError(
      `Cannot build graph: Reshape must have one new size with a name at most: ` +
        `current value is [${dims}] of [${x.dims}]`,
    );
  }
  return reshapeTo(graph, x, graph.constant([target.length], target, "int64"), dims);
}

/** Same numbers in the shape of `like`, whatever its sizes are when the graph runs. */
export function reshapeLike(graph: GraphBuilder, x: Node, like: Node): Node {
  return reshapeTo(graph, x, graph.apply("Shape", [like], [like.dims.length]), like.dims);
}

function reshapeTo(graph: GraphBuilder, x: Node, target: Node, dims: readonly Dim[]): Node {
  if (productOf(x.dims) !== productOf(dims)) {
    throw new RangeError(
      `Cannot build graph: Reshape must keep the count of [${x.dims}]: current value is [${dims}]`,
    );
  }
  return graph.apply("Reshape", [x, target], dims);
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

export function concat(graph: GraphBuilder, parts: readonly Node[], axis: number): Node {
  const first = parts[0];
  if (first === undefined) throw new RangeError("Cannot build graph: Concat needs a part");
  const along = ({ dims }: Node, size: Dim): Dim[] => dims.map((d, i) => (i === axis ? size : d));
  for (const part of parts) expectDims("Concat part", along(part, "any"), along(first, "any"));
  const dims = along(
    first,
    sumOf(parts.map((part) => part.dims[axis] ?? fixed("Concat", undefined))),
  );
  return graph.apply("Concat", parts, dims, { attributes: { axis } });
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
