/** Every operator of `src/onnx/operators.ts` as a small graph, with the same on the host in float64. */
import type { Dim, GraphBuilder, Node } from "../../src/onnx/graph.ts";
import * as operators from "../../src/onnx/operators.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import * as host from "./host_operators.ts";

/** One graph and what it must compute. */
export interface OperatorCase {
  /** What the operator does, in words that follow the provider's name. */
  readonly name: string;
  /** Shapes of its inputs, `"N"` the batch. */
  readonly shapes: readonly (readonly Dim[])[];
  /** Other sizes that the graph knows by name only. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Input i as numbers; seeded noise unless given. */
  readonly numbers?: (i: number, dims: readonly number[]) => Float32Array;
  /** Adds it to a graph. */
  build(graph: GraphBuilder, inputs: readonly Node[]): readonly Node[];
  /** What results must be. */
  expected(inputs: readonly host.HostTensor[]): readonly host.HostTensor[];
}

/** Noise of this standard deviation around a mean, another for each input. */
function noise(deviation: number, mean = 0): NonNullable<OperatorCase["numbers"]> {
  return (i, dims) => normalNoise(dims, 40 + i).data.map((v) => mean + deviation * v);
}

const tokens: readonly Dim[] = ["N", 6, 24];
const modulation: readonly Dim[] = ["N", 1, 24];
/** Tokens whose number is known when the graph runs. */
const named: readonly Dim[] = ["N", "T", 24];
const sizes = { T: 6, M: 5, "M+T": 11 };

/** In the order of `operators.ts`. */
export const OPERATOR_CASES: readonly OperatorCase[] = [
  {
    name: "add() sums and broadcasts over tokens",
    shapes: [tokens, modulation],
    build: (graph, [a, b]) => [operators.add(graph, a!, b!)],
    expected: ([a, b]) => [host.zip(a!, b!, (x, y) => x + y)],
  },
  {
    name: "add() broadcasts a shape of lower rank",
    shapes: [[6, 24], tokens],
    build: (graph, [a, b]) => [operators.add(graph, a!, b!)],
    expected: ([a, b]) => [host.zip(a!, b!, (x, y) => x + y)],
  },
  {
    name: "subtract() takes the second from the first",
    shapes: [tokens, tokens],
    build: (graph, [a, b]) => [operators.subtract(graph, a!, b!)],
    expected: ([a, b]) => [host.zip(a!, b!, (x, y) => x - y)],
  },
  {
    name: "multiply() multiplies and broadcasts",
    shapes: [modulation, tokens],
    build: (graph, [a, b]) => [operators.multiply(graph, a!, b!)],
    expected: ([a, b]) => [host.zip(a!, b!, (x, y) => x * y)],
  },
  {
    name: "silu() is x·sigmoid(x), far from zero too",
    shapes: [tokens],
    numbers: noise(30),
    build: (graph, [x]) => [operators.silu(graph, x!)],
    expected: ([x]) => [host.map(x!, host.silu)],
  },
  {
    name: "geluTanh() is the tanh form of GELU",
    shapes: [tokens],
    build: (graph, [x]) => [operators.geluTanh(graph, x!)],
    expected: ([x]) => [host.map(x!, host.geluTanh)],
  },
  {
    name: "geluTanh() is 0 or x where tanh has reached its ends",
    shapes: [tokens],
    numbers: noise(30),
    build: (graph, [x]) => [operators.geluTanh(graph, x!)],
    expected: ([x]) => [host.map(x!, host.geluTanh)],
  },
  {
    name: "layerNorm() gives rows mean 0 and variance 1",
    shapes: [tokens],
    numbers: noise(3, 1),
    build: (graph, [x]) => [operators.layerNorm(graph, x!, 1e-6)],
    expected: ([x]) => [host.layerNorm(x!, 1e-6)],
  },
  {
    name: "layerNorm() gives rows of equal numbers zeros",
    shapes: [tokens],
    numbers: (_, dims) => new Float32Array(elementCount(dims)).fill(2),
    build: (graph, [x]) => [operators.layerNorm(graph, x!, 1e-6)],
    expected: ([x]) => [host.layerNorm(x!, 1e-6)],
  },
  {
    name: "linear() is x·Wᵀ + b for tokens",
    shapes: [tokens, [10, 24], [10]],
    build: (graph, [x, weight, bias]) => [operators.linear(graph, x!, weight!, bias!)],
    expected: ([x, weight, bias]) => [host.linear(x!, weight!, bias!)],
  },
  {
    name: "linear() is x·Wᵀ + b for rows",
    shapes: [["N", 24], [10, 24], [10]],
    build: (graph, [x, weight, bias]) => [operators.linear(graph, x!, weight!, bias!)],
    expected: ([x, weight, bias]) => [host.linear(x!, weight!, bias!)],
  },
  {
    name: "linear() is x·Wᵀ for tokens whose number is known at the run",
    shapes: [named, [10, 24]],
    sizes,
    build: (graph, [x, weight]) => [operators.linear(graph, x!, weight!)],
    expected: ([x, weight]) => [
      host.linear(x!, weight!, { dims: [10], data: new Float64Array(10) }),
    ],
  },
  {
    name: "rmsNorm() gives every head mean square 1, then its scale",
    shapes: [named, [8]],
    sizes,
    numbers: noise(3, 1),
    build: (graph, [x, scale]) => {
      const heads = operators.reshape(graph, x!, ["N", "T", 3, 8]);
      const normed = operators.rmsNorm(graph, heads, { scale: scale!, epsilon: 1e-6 });
      return [operators.reshape(graph, normed, named)];
    },
    expected: ([x, scale]) => [host.rmsNormHeads(x!, scale!, 1e-6)],
  },
  {
    name: "rotatePairs() turns neighbouring pairs of every head by the angles of their token",
    shapes: [["N", "M+T", 24], ["M+T", 4], ["M+T", 4]],
    sizes,
    numbers: (i, dims) => {
      if (i === 0) return normalNoise(dims, 40).data;
      const angles = normalNoise(dims, 41).data;
      return angles.map((angle) => (i === 1 ? Math.cos(angle) : Math.sin(angle)));
    },
    build: (graph, [x, cos, sin]) => [operators.rotatePairs(graph, x!, { cos: cos!, sin: sin! })],
    expected: ([x, cos, sin]) => [host.rotatePairs(x!, cos!, sin!)],
  },
  {
    name: "splitTokens() undoes concat() for tokens whose numbers are known at the run",
    shapes: [["N", "M", 24], named],
    sizes,
    build: (graph, [text, image]) => {
      const joint = operators.concat(graph, [text!, image!], 1);
      return operators.splitTokens(graph, joint, { like: text!, rest: "T" });
    },
    expected: ([text, image]) => [text!, image!],
  },
  {
    name: "identity() keeps the numbers",
    shapes: [tokens],
    build: (graph, [x]) => [operators.identity(graph, x!)],
    expected: ([x]) => [x!],
  },
  {
    name: "attention() mixes values in every head",
    shapes: [tokens, tokens, tokens],
    build: (graph, [q, k, v]) => [operators.attention(graph, [q!, k!, v!], 3)],
    expected: ([q, k, v]) => [host.attention(q!, k!, v!, 3)],
  },
  {
    name: "attention() takes more keys than queries, and logits that would overflow exp",
    shapes: [tokens, ["N", 9, 24], ["N", 9, 24]],
    numbers: noise(8),
    build: (graph, [q, k, v]) => [operators.attention(graph, [q!, k!, v!], 2)],
    expected: ([q, k, v]) => [host.attention(q!, k!, v!, 2)],
  },
  {
    name: "splitLast() cuts the last axis into equal parts",
    shapes: [tokens],
    build: (graph, [x]) => operators.splitLast(graph, x!, 3),
    expected: ([x]) => [0, 8, 16].map((first) => host.slice(x!, { axis: 2, first, count: 8 })),
  },
  {
    name: "reshape() keeps the numbers and a batch known only at the run",
    shapes: [tokens],
    build: (graph, [x]) => [operators.reshape(graph, x!, ["N", 12, 12])],
    expected: ([x]) => [{ dims: [x!.dims[0]!, 12, 12], data: x!.data }],
  },
  {
    name: "transpose() reorders the axes of patches",
    shapes: [["N", 3, 2, 4, 2, 4]],
    build: (graph, [x]) => [operators.transpose(graph, x!, [0, 2, 4, 1, 3, 5])],
    expected: ([x]) => [host.transpose(x!, [0, 2, 4, 1, 3, 5])],
  },
  {
    name: "slice() cuts rows out of an axis",
    shapes: [tokens],
    build: (graph, [x]) => [operators.slice(graph, x!, { axis: 1, first: 2, count: 3 })],
    expected: ([x]) => [host.slice(x!, { axis: 1, first: 2, count: 3 })],
  },
  {
    name: "gatherRows() looks rows up, the last one too",
    shapes: [[7, 24], ["N"]],
    numbers: (i, dims) =>
      i === 0
        ? normalNoise(dims, 40).data
        : Float32Array.from({ length: dims[0]! }, (_, row) => (6 + 3 * row) % 7),
    build: (graph, [table, rows]) => [operators.gatherRows(graph, table!, rows!)],
    expected: ([table, rows]) => [host.gatherRows(table!, rows!)],
  },
  {
    name: "concat() joins along an axis",
    shapes: [tokens, ["N", 2, 24], modulation],
    build: (graph, parts) => [operators.concat(graph, parts, 1)],
    expected: (parts) => [host.concat(parts, 1)],
  },
];
