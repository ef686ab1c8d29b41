/**
 * T5's encoder: RMS norms, attention without scale over relative positions that all blocks share, no biases.
 *
 * Everything is float32, whatever weights are stored as: in half precision, what `wo` adds up overflows; and a few
 * of its inputs are so large that it keeps them in floats where other layers round theirs to eight bits.
 *
 * *Source:* google-research/t5x; transformers `T5EncoderModel`, whose tensor names are used.
 */

import type { Weights } from "../assets/weights.ts";
import type { GraphBuilder, Node } from "../onnx/graph.ts";
import { linearLayer } from "../onnx/linear.ts";
import { add, geluTanh, multiply, relu, rmsNorm } from "../onnx/operators.ts";
import { biasedAttention } from "../onnx/text_operators.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { blockGraph, linear, readRows, textGraph } from "./layers.ts";
import type { TextGraph, TextNetwork } from "./network.ts";
import { relativeBias } from "./relative_bias.ts";
import type { T5Config } from "./t5_config.ts";

/** The table of tokens. */
export const SHARED = "shared.weight";
/** The table of relative positions, `(buckets, H)`, in the first block alone. */
export const RELATIVE_TABLE =
  "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";

/** T5's encoder of this configuration. */
export function t5(config: T5Config): TextNetwork {
  const { vocabularySize, width } = config;
  return {
    vocabularySize,
    width,
    blocks: Array.from({ length: config.layers }, (_, i) => t5Block(config, i)),
    final: textGraph(
      "T5 final norm",
      width,
      (graph, x) => norm(graph, x, "encoder.final_layer_norm", config),
    ),
    embed: (texts, weights) => readRows(SHARED, texts, weights),
    bias: async (tokens, weights: Weights, signal): Promise<Tensor> =>
      relativeBias(tokens, await weights.read(RELATIVE_TABLE, signal), config),
  };
}

function t5Block(config: T5Config, index: number): TextGraph {
  const { width, heads, headDim } = config;
  const [attention, mlp] = [0, 1].map((layer) => `encoder.block.${index}.layer.${layer}`);
  return blockGraph(`T5 block ${index}`, { width, biases: heads }, (graph, x, bias) => {
    const layer = (from: Node, name: string, out: number): Node =>
      linear(graph, from, `${attention}.SelfAttention.${name}`, out);
    const normed = norm(graph, x, `${attention}.layer_norm`, config);
    const [q, k, v] = ["q", "k", "v"].map((part) => layer(normed, part, heads * headDim));
    const mixed = biasedAttention(graph, [q!, k!, v!], { heads, bias, scale: 1 }); // three parts
    const after = add(graph, x, layer(mixed, "o", width));
    const second = norm(graph, after, `${mlp}.layer_norm`, config);
    return add(graph, after, feedForward(graph, second, `${mlp}.DenseReluDense`, config));
  });
}

function feedForward(graph: GraphBuilder, x: Node, name: string, config: T5Config): Node {
  const { feedForward: kind, hidden, width } = config;
  const raise = (part: string): Node => linear(graph, x, `${name}.${part}`, hidden);
  const raised = kind === "relu"
    ? relu(graph, raise("wi"))
    : multiply(graph, geluTanh(graph, raise("wi_0")), raise("wi_1"));
  return linearLayer(graph, raised, {
    weight: `${name}.wo.weight`,
    out: width,
    unevenInput: true, // in eight bits the result would be off three times as much
  });
}

function norm(graph: GraphBuilder, x: Node, name: string, { width, epsilon }: T5Config): Node {
  return rmsNorm(graph, x, { scale: graph.parameter(`${name}.weight`, [width]), epsilon });
}
