/**
 * Typed operators of convolutional networks over pictures `(N, C, H, W)`, in the manner of `operators.ts`.
 */

import { type Dim, expectDims, type GraphBuilder, type Node } from "./graph.ts";
import {
  add,
  concat,
  multiply,
  reshape,
  reshapeLike,
  slice,
  subtract,
  transpose,
} from "./operators.ts";
import { productOf } from "./sizes.ts";

export interface ConvolutionOptions {
  /** `(out, in, k, k)`, k odd. */
  readonly weight: Node;
  /** `(out)`; absent = none. */
  readonly bias?: Node;
  /**
   * 1, unless given, keeps the size, with zeros around. 2 takes every second window of 3 × 3, beginning in the
   * corner, with zeros to the right and below: half of even sides.
   */
  readonly stride?: 1 | 2;
}

/** 2-D convolution of x `(N, in, H, W)`, as PyTorch's Conv2d. */
export function convolution(
  graph: GraphBuilder,
  x: Node,
  { weight, bias, stride = 1 }: ConvolutionOptions,
): Node {
  const [batch, channels, ...sides] = x.dims;
  const [out, , kernel] = weight.dims.map(Number);
  expectDims("Conv weight", weight.dims, [out!, channels!, kernel!, kernel!]);
  if (bias !== undefined) expectDims("Conv bias", bias.dims, [out!]);
  const pads = stride === 1 ? new Array<number>(4).fill((kernel! - 1) / 2) : [0, 0, 1, 1];
  const operands = bias === undefined ? [x, weight] : [x, weight, bias];
  const dims = [batch!, out!, ...(stride === 1 ? sides : sides.map(halfOf))];
  return graph.apply("Conv", operands, dims, {
    attributes: { kernel_shape: [kernel!, kernel!], pads, strides: [stride, stride] },
  });
}

/** Half of a side; of one that is known only at the run, a name for it. */
function halfOf(side: Dim): Dim {
  return typeof side === "number" ? Math.floor(side / 2) : `${side}/2`;
}

/** Every pixel becomes 2 × 2 of the same numbers. */
export function upsampleNearest(graph: GraphBuilder, x: Node): Node {
  const [batch, channels, ...sides] = x.dims;
  const doubled = sides.map((side) => productOf([2, side]));
  const scales = graph.constant([4], [1, 1, 2, 2], "float32");
  return graph.apply("Resize", [x, undefined, scales], [batch!, channels!, ...doubled], {
    attributes: {
      mode: "nearest",
      nearest_mode: "floor",
      coordinate_transformation_mode: "asymmetric",
    },
  });
}

/** Groups of a norm, its affine weights, and where its statistics come from. */
export interface GroupNormOptions {
  /** How many groups the channels make. */
  readonly groups: number;
  /** Added to variances. */
  readonly epsilon: number;
  /** Scale and shift of each channel, both `(C)`. */
  readonly affine: { readonly weight: Node; readonly bias: Node };
  /** Statistics of a larger picture that x is a part of; x's own are used without it. */
  readonly whole?: WholeStatistics;
}

/** Statistics that a graph is given at each run, and whether it uses them. */
export interface WholeStatistics {
  /** Mean and variance of each group, `(2, groups, 1)`. */
  readonly given: Node;
  /** `(1)`: 0 where the given ones are used, 1 where x's own are. */
  readonly own: Node;
}

export interface GroupNormed {
  /** Shaped as x. */
  readonly normed: Node;
  /** x's own mean and variance of each group, `(2, groups, 1)`; only for a batch of 1. */
  readonly measured?: Node;
}

/**
 * Group normalisation, of reductions that every provider has: mean first, then the mean square of what is
 * left, so that a large mean costs no precision.
 */
export function groupNorm(
  graph: GraphBuilder,
  x: Node,
  { groups, epsilon, affine, whole }: GroupNormOptions,
): GroupNormed {
  const [batch, channels] = [x.dims[0]!, Number(x.dims[1])];
  const inGroup = productOf([channels / groups, ...x.dims.slice(2)]);
  const flat = reshape(graph, x, [batch, groups, inGroup]);
  const measuredMean = reduceMean(graph, flat);
  const mean = whole === undefined ? measuredMean : blend(graph, measuredMean, { whole, row: 0 });
  const centred = subtract(graph, flat, mean);
  const square = reduceMean(graph, multiply(graph, centred, centred));
  const spread = { mean, measuredMean, square };
  const measuredVariance = whole === undefined ? square : aroundOwnMean(graph, spread);
  const variance = whole === undefined ? square : blend(graph, measuredVariance, { whole, row: 1 });
  const scale = channelScale(graph, variance, { channels, epsilon, weight: affine.weight });
  const scaled = multiply(graph, reshapeLike(graph, centred, x), scale);
  const shift = reshape(graph, affine.bias, [1, channels, 1, 1]);
  const normed = add(graph, scaled, shift);
  if (whole === undefined) return { normed };
  return { normed, measured: concat(graph, [measuredMean, measuredVariance], 0) };
}

/** `given + own·(measured − given)`. */
function blend(
  graph: GraphBuilder,
  measured: Node,
  { whole: { given, own }, row }: { readonly whole: WholeStatistics; readonly row: number },
): Node {
  const chosen = slice(graph, given, { axis: 0, first: row, count: 1 });
  return add(graph, chosen, multiply(graph, own, subtract(graph, measured, chosen)));
}

/** The mean square around one mean, moved to another: `square − (measured − mean)²`. */
function aroundOwnMean(
  graph: GraphBuilder,
  { mean, measuredMean, square }: {
    readonly mean: Node;
    readonly measuredMean: Node;
    readonly square: Node;
  },
): Node {
  const moved = subtract(graph, measuredMean, mean);
  return subtract(graph, square, multiply(graph, moved, moved));
}

/** What each channel is multiplied by, `(N, C, 1, 1)`. */
function channelScale(
  graph: GraphBuilder,
  variance: Node,
  { channels, epsilon, weight }: {
    readonly channels: number;
    readonly epsilon: number;
    readonly weight: Node;
  },
): Node {
  const [batch, groups] = [variance.dims[0]!, Number(variance.dims[1])];
  const raised = add(graph, variance, graph.constant([1], [epsilon], "float32"));
  const deviation = graph.apply("Sqrt", [raised], raised.dims);
  const inGroups = reshape(graph, weight, [1, groups, channels / groups]);
  const scale = graph.apply("Div", [inGroups, deviation], [batch, groups, channels / groups]);
  return reshape(graph, scale, [batch, channels, 1, 1]);
}

/** Mean over the last axis, which stays with size 1. */
function reduceMean(graph: GraphBuilder, x: Node): Node {
  return graph.apply("ReduceMean", [x, graph.constant([1], [x.dims.length - 1], "int64")], [
    ...x.dims.slice(0, -1),
    1,
  ], { attributes: { keepdims: 1 } });
}

/** Pictures `(N, C, H, W)` as tokens `(N, H·W, C)`. */
export function toTokens(graph: GraphBuilder, x: Node): Node {
  const [batch, channels, ...sides] = x.dims;
  const flat = reshape(graph, x, [batch!, channels!, productOf(sides)]);
  return transpose(graph, flat, [0, 2, 1]);
}

/** Tokens `(N, H·W, C)` as pictures of the shape of `like`. */
export function fromTokens(graph: GraphBuilder, tokens: Node, like: Node): Node {
  expectDims("tokens' channels", [tokens.dims[2]!], [like.dims[1]!]);
  return reshapeLike(graph, transpose(graph, tokens, [0, 2, 1]), like);
}
