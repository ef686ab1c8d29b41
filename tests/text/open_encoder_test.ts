import { assertEquals, assertThrows } from "@std/assert";
import type { Weights } from "../../src/assets/weights.ts";
import { AssetError } from "../../src/errors.ts";
import { zeros } from "../../src/tensor/tensor.ts";
import { type OpenedEncoder, openEncoder } from "../../src/text/open_encoder.ts";

const CLIP = {
  architectures: ["CLIPTextModel"],
  ...{ hidden_size: 8, intermediate_size: 12, num_hidden_layers: 2, num_attention_heads: 2 },
  ...{ vocab_size: 30, max_position_embeddings: 10, projection_dim: 6 },
};
const T5 = {
  architectures: ["T5EncoderModel"],
  ...{ d_model: 8, d_kv: 3, d_ff: 12, num_layers: 2, num_heads: 2, vocab_size: 30 },
  feed_forward_proj: "gated-gelu",
};

Deno.test("openEncoder() finds CLIP's tensors with and without their prefix", () => {
  const own = clipTensors();
  const prefixed = new Map([...own].map(([name, dims]) => [`text_model.${name}`, dims]));
  for (const tensors of [own, prefixed]) {
    const { network, weights } = open(CLIP, tensors);
    assertEquals(weights.names, new Set(own.keys()));
    assertEquals(weights.dims("final_layer_norm.weight"), [8]);
    assertEquals(network.pooling?.projection, undefined);
  }
  const projected = new Map([...prefixed, ["text_projection.weight", [6, 8]]]);
  const { network } = open({ ...CLIP, architectures: ["CLIPTextModelWithProjection"] }, projected);
  assertEquals(network.pooling?.projection?.key, "CLIP projection");
});

Deno.test("openEncoder() finds T5's table of tokens under either name, or both", () => {
  const tensors = t5Tensors();
  const table = [30, 8];
  for (const names of [["shared"], ["encoder.embed_tokens"], ["shared", "encoder.embed_tokens"]]) {
    const all = new Map([...tensors, ...names.map((name) => [`${name}.weight`, table] as const)]);
    const { weights } = open(T5, all);
    assertEquals(weights.dims("shared.weight"), table);
    assertEquals(weights.dims("encoder.embed_tokens.weight"), undefined);
  }
});

Deno.test("openEncoder() refuses what it does not compute by name", () => {
  const table: readonly (readonly [object, string])[] = [
    [
      { architectures: ["UMT5EncoderModel"] },
      'T5EncoderModel: current value is "UMT5EncoderModel"',
    ],
    [{ architectures: ["toString"] }, 'current value is "toString"'],
    [{ architectures: undefined }, "current value is absent"],
    [{ hidden_act: "gelu_new" }, 'hidden_act must be "quick_gelu" or "gelu"'],
    [{ hidden_size: 7 }, "hidden_size must be a multiple of num_attention_heads (2)"],
    [{ hidden_size: "8" }, "hidden_size must be of type number"],
    [{ num_hidden_layers: 0 }, "num_hidden_layers must be at least 1"],
    [{ layer_norm_eps: 0 }, "layer_norm_eps must be more than 0"],
    [{ vocab_size: 31 }, "embeddings.token_embedding.weight must be [31,8]"],
    [{ num_hidden_layers: 1 }, "tensor encoder.layers.1.layer_norm1.weight is not part of"],
    [{ num_hidden_layers: 3 }, "encoder.layers.2.layer_norm1.weight must be [8]"],
  ];
  for (const [change, message] of table) {
    assertThrows(() => open({ ...CLIP, ...change }, clipTensors()), AssetError, message);
  }
});

Deno.test("openEncoder() refuses T5s that it does not compute by name", () => {
  const tensors = new Map([...t5Tensors(), ["shared.weight", [30, 8]]]);
  const table: readonly (readonly [object, string])[] = [
    [{ feed_forward_proj: "gated-silu" }, 'feed_forward_proj must be "relu" or "gated-gelu"'],
    [{ relative_attention_num_buckets: 30 }, "must be a multiple of 4"],
    [{ relative_attention_max_distance: 8 }, "at most 4 × relative_attention_max_distance (8)"],
    [{ feed_forward_proj: "relu" }, "DenseReluDense.wi.weight must be [12,8]"],
    [{ d_kv: 4 }, "SelfAttention.q.weight must be [8,8]"],
  ];
  for (const [change, message] of table) {
    assertThrows(() => open({ ...T5, ...change }, tensors), AssetError, message);
  }
});

function open(
  config: object,
  tensors: ReadonlyMap<string, readonly number[]>,
): OpenedEncoder {
  return openEncoder({ config, weights: stored(tensors) }, "text_encoder");
}

function stored(tensors: ReadonlyMap<string, readonly number[]>): Weights {
  return {
    names: new Set(tensors.keys()),
    dims: (name) => tensors.get(name),
    read: (name) => Promise.resolve(zeros(tensors.get(name)!)),
    sample: (_, indices) => Promise.resolve(new Float32Array(indices.length)),
  };
}

function clipTensors(): Map<string, number[]> {
  const linear = (name: string, out: number, width: number): [string, number[]][] => [
    [`${name}.weight`, [out, width]],
    [`${name}.bias`, [out]],
  ];
  const norm = (name: string): [string, number[]][] => [
    [`${name}.weight`, [8]],
    [`${name}.bias`, [8]],
  ];
  const blocks = [0, 1].flatMap((i) => {
    const prefix = `encoder.layers.${i}`;
    return [
      ...norm(`${prefix}.layer_norm1`),
      ...norm(`${prefix}.layer_norm2`),
      ...["q_proj", "k_proj", "v_proj", "out_proj"].flatMap((part) =>
        linear(`${prefix}.self_attn.${part}`, 8, 8)
      ),
      ...linear(`${prefix}.mlp.fc1`, 12, 8),
      ...linear(`${prefix}.mlp.fc2`, 8, 12),
    ];
  });
  return new Map([
    ["embeddings.token_embedding.weight", [30, 8]],
    ["embeddings.position_embedding.weight", [10, 8]],
    ...blocks,
    ...norm("final_layer_norm"),
  ]);
}

/** All but the table of tokens. */
function t5Tensors(): Map<string, number[]> {
  const blocks = [0, 1].flatMap((i): [string, number[]][] => {
    const [attention, mlp] = [0, 1].map((layer) => `encoder.block.${i}.layer.${layer}`);
    return [
      [`${attention}.layer_norm.weight`, [8]],
      ...["q", "k", "v"].map((
        part,
      ): [string, number[]] => [`${attention}.SelfAttention.${part}.weight`, [6, 8]]),
      [`${attention}.SelfAttention.o.weight`, [8, 6]],
      [`${mlp}.layer_norm.weight`, [8]],
      [`${mlp}.DenseReluDense.wi_0.weight`, [12, 8]],
      [`${mlp}.DenseReluDense.wi_1.weight`, [12, 8]],
      [`${mlp}.DenseReluDense.wo.weight`, [8, 12]],
    ];
  });
  return new Map([
    ...blocks,
    ["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", [32, 2]],
    ["encoder.final_layer_norm.weight", [8]],
  ]);
}
