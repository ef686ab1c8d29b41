/**
 * Writes the encoder of T5-XXL v1.1 as zeros, a sparse file of 9.5 GB that takes no room on the disk, for measuring
 * what does not depend on the numbers:
 *
 *     deno run --allow-write scripts/make/sparse_t5.ts /tmp/t5-xxl [BLOCKS]
 */
import { RELATIVE_TABLE, SHARED, t5 } from "../../src/text/t5.ts";
import { parseT5Config } from "../../src/text/t5_config.ts";
import { writeSparse } from "./sparse_file.ts";

const [folder = "t5-xxl", layers = "24"] = Deno.args;
const json = {
  ...{ architectures: ["T5EncoderModel"], model_type: "t5", feed_forward_proj: "gated-gelu" },
  ...{
    vocab_size: 32128,
    d_model: 4096,
    d_ff: 10240,
    d_kv: 64,
    num_heads: 64,
    num_layers: Number(layers),
  },
};
const config = parseT5Config(json, "T5EncoderModel");
const { blocks, final } = t5(config);
const tensors = new Map<string, readonly number[]>([
  [SHARED, [config.vocabularySize, config.width]],
  [RELATIVE_TABLE, [config.buckets, config.heads]],
]);
for (const graph of [...blocks, final]) {
  for (const { name, dims } of graph.build().parameters) tensors.set(name, dims.map(Number));
}
const count = await writeSparse(folder, { config: json, file: "model.safetensors", tensors });
console.log(`${folder}: ${(count / 1e9).toFixed(2)}e9 numbers in float16`);
