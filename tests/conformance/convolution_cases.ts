/** Every operator of `src/onnx/convolution.ts` as a small graph, with the same on the host in float64. */
import * as convolutions from "../../src/onnx/convolution.ts";
import type { Dim } from "../../src/onnx/graph.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import * as host from "./host_convolution.ts";
import { transpose } from "./host_operators.ts";
import type { OperatorCase } from "./operator_cases.ts";

/** A picture whose sides are known when the graph runs. */
const picture: readonly Dim[] = ["N", 2, "H", "W"];
/** One alone, whose norms may be given statistics. */
const part: readonly Dim[] = [1, 6, "H", "W"];
const sizes = { H: 5, W: 8 };
const NORM = { groups: 3, epsilon: 1e-6 };

/** In the order of `convolution.ts`. */
export const CONVOLUTION_CASES: readonly OperatorCase[] = [
  {
    name: "convolution() of 3 × 3 keeps the size with zeros around",
    shapes: [picture, [3, 2, 3, 3], [3]],
    sizes,
    build: (graph, [x, weight, bias]) => [
      convolutions.convolution(graph, x!, { weight: weight!, bias: bias! }),
    ],
    expected: ([x, weight, bias]) => [
      host.convolution(x!, [weight!, bias!]),
    ],
  },
  {
    name: "convolution() without a bias",
    shapes: [picture, [3, 2, 3, 3]],
    sizes: { H: 6, W: 8 },
    build: (graph, [x, weight]) => [convolutions.convolution(graph, x!, { weight: weight! })],
    expected: ([x, weight]) => [
      host.convolution(x!, [weight!, { dims: [3], data: new Float64Array(3) }]),
    ],
  },
  {
    name: "convolution() of every second window halves the sides",
    shapes: [picture, [3, 2, 3, 3], [3]],
    sizes: { H: 6, W: 8 },
    build: (graph, [x, weight, bias]) => [
      convolutions.convolution(graph, x!, { weight: weight!, bias: bias!, stride: 2 }),
    ],
    expected: ([x, weight, bias]) => [host.convolution(x!, [weight!, bias!], 2)],
  },
  {
    name: "convolution() of 1 × 1 mixes channels",
    shapes: [picture, [3, 2, 1, 1], [3]],
    sizes,
    build: (graph, [x, weight, bias]) => [
      convolutions.convolution(graph, x!, { weight: weight!, bias: bias! }),
    ],
    expected: ([x, weight, bias]) => [
      host.convolution(x!, [weight!, bias!]),
    ],
  },
  {
    name: "upsampleNearest() makes 2 × 2 of every pixel",
    shapes: [picture],
    sizes,
    build: (graph, [x]) => [convolutions.upsampleNearest(graph, x!)],
    expected: ([x]) => [host.upsampleNearest(x!)],
  },
  {
    name: "groupNorm() norms the groups of every picture by themselves, far from zero too",
    shapes: [["N", 6, "H", "W"], [6], [6]],
    sizes,
    numbers: (i, dims) => normalNoise(dims, 40 + i).data.map((v) => 3 * v + (i === 0 ? 30 : 0)),
    build: (graph, [x, weight, bias]) => {
      const affine = { weight: weight!, bias: bias! };
      return [convolutions.groupNorm(graph, x!, { ...NORM, affine }).normed];
    },
    expected: ([x, weight, bias]) => [host.groupNorm(x!, [weight!, bias!], NORM)],
  },
  ...[0, 1].map((own): OperatorCase => ({
    name: `groupNorm() by ${own === 1 ? "a part's own" : "given"} statistics tells its own`,
    shapes: [part, [6], [6], [2, 3, 1], [1]],
    sizes,
    numbers: (i, dims) => {
      if (i === 4) return Float32Array.of(own);
      const noise = normalNoise(dims, 40 + i).data;
      return i === 3 ? noise.map((v) => 1 + Math.abs(v)) : noise;
    },
    build: (graph, [x, weight, bias, given, flag]) => {
      const affine = { weight: weight!, bias: bias! };
      const whole = { given: given!, own: flag! };
      const { normed, measured } = convolutions.groupNorm(graph, x!, { ...NORM, affine, whole });
      return [normed, measured!]; // there is a whole
    },
    expected: ([x, weight, bias, given]) => [
      host.groupNorm(x!, [weight!, bias!], { ...NORM, ...(own === 0 && { given: given! }) }),
      host.groupStatistics(x!, 3),
    ],
  })),
  {
    name: "toTokens() takes pixels row by row, fromTokens() undoes it",
    shapes: [picture],
    sizes,
    build: (graph, [x]) => {
      const tokens = convolutions.toTokens(graph, x!);
      return [tokens, convolutions.fromTokens(graph, tokens, x!)];
    },
    expected: ([x]) => {
      const flat = { dims: [x!.dims[0]!, 2, 40], data: x!.data };
      return [transpose(flat, [0, 2, 1]), x!];
    },
  },
];
