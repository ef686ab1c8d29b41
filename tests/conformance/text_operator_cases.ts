/** Every operator of `src/onnx/text_operators.ts` as a small graph, with the same on the host in float64. */
import type { Dim } from "../../src/onnx/graph.ts";
import * as operators from "../../src/onnx/text_operators.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import * as host from "./host_operators.ts";
import type { OperatorCase } from "./operator_cases.ts";

const tokens: readonly Dim[] = ["N", "M", 24];
const sizes = { M: 6 };

/** A causal mask for input 3, noise for the others. */
function causal(i: number, dims: readonly number[]): Float32Array {
  if (i !== 3) return normalNoise(dims, 40 + i).data;
  const [queries, keys] = dims.slice(-2) as [number, number]; // rank 4
  return Float32Array.from({ length: elementCount(dims) }, (_, at) => {
    const query = Math.floor(at / keys) % queries;
    return at % keys > query ? -1e9 : 0;
  });
}

/** In the order of `text_operators.ts`. */
export const TEXT_OPERATOR_CASES: readonly OperatorCase[] = [
  {
    name: "biasedAttention() adds a bias to the logits of each head, which are not scaled",
    shapes: [tokens, tokens, tokens, ["N", 3, "M", "M"]],
    sizes,
    build: (graph, [q, k, v, bias]) => [
      operators.biasedAttention(graph, [q!, k!, v!], { heads: 3, bias: bias!, scale: 1 }),
    ],
    expected: ([q, k, v, bias]) => [host.attention(q!, k!, v!, 3, { bias: bias!, scale: 1 })],
  },
  {
    name: "biasedAttention() hides keys from all heads by one bias",
    shapes: [tokens, tokens, tokens, ["N", 1, "M", "M"]],
    sizes,
    numbers: causal,
    build: (graph, [q, k, v, bias]) => [
      operators.biasedAttention(graph, [q!, k!, v!], { heads: 3, bias: bias!, scale: 0.3 }),
    ],
    expected: ([q, k, v, bias]) => [host.attention(q!, k!, v!, 3, { bias: bias!, scale: 0.3 })],
  },
  {
    name: "affineLayerNorm() scales and shifts what it has normed",
    shapes: [tokens, [24], [24]],
    sizes,
    build: (graph, [x, weight, bias]) => [
      operators.affineLayerNorm(graph, x!, { weight: weight!, bias: bias!, epsilon: 1e-5 }),
    ],
    expected: ([x, weight, bias]) => {
      const scaled = host.zip(host.layerNorm(x!, 1e-5), weight!, (a, b) => a * b);
      return [host.zip(scaled, bias!, (a, b) => a + b)];
    },
  },
  {
    name: "gelu() is GELU by the error function, far from zero too",
    shapes: [tokens],
    sizes,
    numbers: (i, dims) => normalNoise(dims, 40 + i).data.map((value) => 3 * value),
    build: (graph, [x]) => [operators.gelu(graph, x!)],
    expected: ([x]) => [host.map(x!, host.gelu)],
  },
  {
    name: "quickGelu() is x·sigmoid(1.702·x)",
    shapes: [tokens],
    sizes,
    numbers: (i, dims) => normalNoise(dims, 40 + i).data.map((value) => 10 * value),
    build: (graph, [x]) => [operators.quickGelu(graph, x!)],
    expected: ([x]) => [host.map(x!, host.quickGelu)],
  },
];
