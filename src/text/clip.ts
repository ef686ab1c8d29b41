/**
 * CLIP's text encoder: pre-norm blocks under a causal mask, positions from a table.
 *
 * *Source:* OpenAI CLIP; transformers `CLIPTextModel` and `CLIPTextModelWithProjection`, whose tensor names of
 * version 5 are used.
 */

import type { Weights } from "../assets/weights.ts";
import type { GraphBuilder, Node } from "../onnx/graph.ts";
import { add } from "../onnx/operators.ts";
import { affineLayerNorm, biasedAttention, gelu, quickGelu } from "../onnx/text_operators.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type ClipConfig, PROJECTED } from "./clip_config.ts";
import { blockGraph, dense, HIDDEN, linear, readRows, rowGraph, textGraph } from "./layers.ts";
import type { TextGraph, TextNetwork, TextTokens } from "./network.ts";

const ACTIVATIONS: Readonly<
  Record<ClipConfig["activation"], (graph: GraphBuilder, x: Node) => Node>
> = { quick_gelu: quickGelu, gelu };

/** Names of the tables. */
export const TOKEN_TABLE = "embeddings.token_embedding.weight";
export const POSITION_TABLE = "embeddings.position_embedding.weight";

/** CLIP's text encoder of this configuration. */
export function clip(config: ClipConfig): TextNetwork {
  const { className, vocabularySize, width, positions } = config;
  return {
    vocabularySize,
    width,
    positions,
    blocks: Array.from({ length: config.layers }, (_, i) => clipBlock(config, i)),
    final: textGraph(
      "CLIP final norm",
      width,
      (graph, x) => norm(graph, x, "final_layer_norm", config),
    ),
    pooling: {
      endOf: ({ ids }) => endOf(ids, config.endToken),
      ...(className === PROJECTED && { projection: projection(config) }),
    },
    embed: (texts, weights) => embed(texts, weights, positions),
    bias: (tokens) => Promise.resolve(causalBias(tokens)),
  };
}

function clipBlock(config: ClipConfig, index: number): TextGraph {
  const { width, heads, hidden, activation } = config;
  const prefix = `encoder.layers.${index}`;
  return blockGraph(`CLIP block ${index}`, { width, biases: 1 }, (graph, x, bias) => {
    const layer = (from: Node, name: string, out: number): Node =>
      dense(graph, from, `${prefix}.${name}`, out);
    const normed = norm(graph, x, `${prefix}.layer_norm1`, config);
    const [q, k, v] = ["q", "k", "v"].map((part) => layer(normed, `self_attn.${part}_proj`, width));
    const scale = (width / heads) ** -0.5;
    const mixed = biasedAttention(graph, [q!, k!, v!], { heads, bias, scale }); // three parts
    const after = add(graph, x, layer(mixed, "self_attn.out_proj", width));
    const raised = layer(norm(graph, after, `${prefix}.layer_norm2`, config), "mlp.fc1", hidden);
    const branch = layer(ACTIVATIONS[activation](graph, raised), "mlp.fc2", width);
    return add(graph, after, branch);
  });
}

function norm(
  graph: GraphBuilder,
  x: Node,
  name: string,
  { width, epsilon }: Pick<ClipConfig, "width" | "epsilon">,
): Node {
  const weight = graph.parameter(`${name}.weight`, [width]);
  return affineLayerNorm(graph, x, {
    weight,
    bias: graph.parameter(`${name}.bias`, [width]),
    epsilon,
  });
}

function projection({ width, projected }: ClipConfig): TextGraph {
  return rowGraph(
    "CLIP projection",
    width,
    (graph, x) => linear(graph, x, "text_projection", projected),
  );
}

async function embed(
  texts: readonly TextTokens[],
  weights: Weights,
  positions: number,
): Promise<readonly Tensor[]> {
  const length = texts.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  if (length > positions) {
    throw new RangeError(
      `Cannot encode text: there must be at most ${positions} tokens: current value is ${length}`,
    );
  }
  const embedded = await readRows(TOKEN_TABLE, texts, weights);
  const places = { ids: Array.from({ length }, (_, i) => i) };
  const [placed] = await readRows(POSITION_TABLE, [places], weights);
  return embedded.map(({ dims, data }) => ({
    dims,
    data: data.map((value, i) => value + placed!.data[i]!), // of one list
  }));
}

/** A token looks at those before it, and at itself; pads are hidden where a mask is given. */
function causalBias({ ids: { length }, mask }: TextTokens): Tensor {
  const data = new Float32Array(length ** 2);
  for (let query = 0; query < length; query++) {
    for (let key = 0; key < length; key++) {
      if (key > query || mask?.[key] === 0) data[query * length + key] = HIDDEN;
    }
  }
  return { dims: [1, 1, length, length], data };
}

/**
 * The first end token, or 0 if there is none. Configurations from before transformers fixed them say 2; there it is
 * the first of the highest ids.
 *
 * *Source:* `CLIPTextModel.forward`, transformers #24773.
 */
function endOf(ids: ArrayLike<number>, endToken: number): number {
  const all = Array.from(ids);
  const wanted = endToken === 2 ? all.reduce((most, id) => Math.max(most, id), 0) : endToken;
  return Math.max(0, all.indexOf(wanted));
}
