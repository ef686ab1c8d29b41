/**
 * Typed operators that only text encoders use: biased attention, norms with weights, other activations.
 *
 * Shapes in comments and errors: N batch, M tokens, D width, H heads.
 *
 * *Source:* ONNX operator specification, opset 20; com.microsoft operators of ONNX Runtime.
 */

import { expectDims, type GraphBuilder, type Node } from "./graph.ts";
import { multiply } from "./operators.ts";

/** How {@link biasedAttention} mixes. */
export interface BiasedMixing {
  readonly heads: number;
  /**
   * What is added to the logits, `(N, H or 1, M, M)`. It stands for masks too: on WebGPU the operator has
   * neither a mask of keys nor a causal one.
   */
  readonly bias: Node;
  /** What logits are multiplied with before the bias is added. */
  readonly scale: number;
}

/** Attention of all heads with a bias on their logits; q, k, v and the result are `(N, M, D)`. */
export function biasedAttention(
  graph: GraphBuilder,
  [q, k, v]: readonly [Node, Node, Node],
  { heads, bias, scale }: BiasedMixing,
): Node {
  const [batch, tokens, width] = q.dims;
  expectDims("attention key", k.dims, q.dims);
  expectDims("attention value", v.dims, q.dims);
  const shared = bias.dims[1] === 1 ? 1 : heads;
  expectDims("attention bias", bias.dims, [batch!, shared, tokens!, tokens!]); // q has rank 3
  if (Number(width) % heads !== 0) {
    throw new RangeError(
      `Cannot build graph: attention width must be a multiple of ${heads}: current value is ${width}`,
    );
  }
  const absent = undefined; // bias of projections, mask of keys
  return graph.apply("MultiHeadAttention", [q, k, v, absent, absent, bias], q.dims, {
    domain: "com.microsoft",
    attributes: { num_heads: heads, scale: { float: scale } },
  });
}

/** Layer normalisation over the last axis, times a weight, plus a bias, both `(width)`. */
export function affineLayerNorm(
  graph: GraphBuilder,
  x: Node,
  { weight, bias, epsilon }: {
    readonly weight: Node;
    readonly bias: Node;
    readonly epsilon: number;
  },
): Node {
  const width = x.dims.at(-1)!; // a tensor of values has an axis
  expectDims("LayerNormalization weight", weight.dims, [width]);
  expectDims("LayerNormalization bias", bias.dims, [width]);
  return graph.apply("LayerNormalization", [x, weight, bias], x.dims, {
    attributes: { axis: -1, epsilon: { float: epsilon } },
  });
}

/** GELU by the error function: PyTorch's `gelu()` without approximation. */
export function gelu(graph: GraphBuilder, x: Node): Node {
  return graph.apply("Gelu", [x], x.dims);
}

/** `x · sigmoid(1.702·x)`. *Source:* OpenAI CLIP, `QuickGELU`. */
export function quickGelu(graph: GraphBuilder, x: Node): Node {
  const steep = multiply(graph, x, graph.constant([1], [1.702], "float32"));
  return multiply(graph, x, graph.apply("Sigmoid", [steep], x.dims));
}
