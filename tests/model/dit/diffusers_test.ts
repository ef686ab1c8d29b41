import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeSafetensors } from "../../../src/assets/formats/safetensors_writer.ts";
import { openModelDirectory } from "../../../src/assets/model_dir.ts";
import { AssetError } from "../../../src/errors.ts";
import { parseDitConfig } from "../../../src/model/dit/config.ts";
import { fromDiffusersDit } from "../../../src/model/dit/diffusers.ts";
import { openModel } from "../../../src/model/open_model.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { type Changes, pipelineFiles } from "../../engine/pipeline_files.ts";

const ORIGINAL = new URL("../../golden/dit-a/", import.meta.url);
const WEIGHTS = "transformer/diffusion_pytorch_model.safetensors";

Deno.test("a diffusers pipeline is the same model as the original's state dict", async () => {
  const theirs = await openModel(await pipelineFiles());
  const ours = await openModel(ORIGINAL);
  assertEquals([...theirs.weights.names].sort(), [...ours.weights.names].sort());
  for (const name of ours.weights.names) {
    if (name === "pos_embed") continue; // stored there in float16, computed here
    assertEquals(await theirs.weights.read(name), await ours.weights.read(name), name);
  }
  assertEquals(await theirs.fingerprint(), await ours.fingerprint());
  assertEquals(theirs.classNames[3], "class 3");
  await ours.close();
});

Deno.test("a pipeline guides all channels on its scheduler's steps, or samples as the original", async () => {
  const files = await pipelineFiles();
  const { sampler } = await openModel(files);
  assertEquals(sampler.guidanceChannels, 4);
  assertEquals(sampler.spacing?.kind, "leading");
  assertEquals((await openModel(files, { sampler: "original" })).sampler, {
    name: "ddim",
    steps: 50,
    guidance: 4,
  });
});

Deno.test("a scheduler as Python writes it is read, its infinite numbers too", async () => {
  const path = "scheduler/scheduler_config.json";
  const write = async (changes: Readonly<Record<string, unknown>>): Promise<Files> => {
    const files = await pipelineFiles({ [path]: changes });
    const text = new TextDecoder().decode(files.get(path)).replace(
      "{",
      '{"clip_sample_range": NaN,',
    );
    return files.set(path, new TextEncoder().encode(text));
  };
  type Files = Map<string, Uint8Array>;
  const read = await openModel(await write({ clip_sample_range: undefined }));
  assertEquals(read.sampler.spacing?.kind, "leading");
  const other = await write({ _class_name: "EDMEulerScheduler" });
  await assertRejects(
    () => openModel(other),
    AssetError,
    "EDMEulerScheduler is not supported for a model that predicts noise; supported are DDIMScheduler",
  );
  assertEquals((await openModel(other, { sampler: "original" })).sampler.steps, 50);
});

Deno.test("the divisor of the timestep frequencies enters the fingerprint when it is not the original's", async () => {
  const divisor = "half_minus_one";
  const changed = await openModel(
    await pipelineFiles({ "transformer/config.json": { timestep_frequency_divisor: divisor } }),
  );
  const plain = await openModel(await pipelineFiles());
  assert(await changed.fingerprint() !== await plain.fingerprint());
});

const CONFIG = "transformer/config.json";
const INDEX = "model_index.json";
const REFUSED: readonly (readonly [what: string, changes: Changes, message: string])[] = [
  ["another norm", { [CONFIG]: { norm_type: "ada_norm_single" } }, 'norm_type must be "ada_norm_'],
  ["another activation", { [CONFIG]: { activation_fn: "geglu" } }, "activation_fn must be"],
  ["attention without bias", { [CONFIG]: { attention_bias: false } }, "attention_bias must be"],
  ["an unknown key", { [CONFIG]: { qk_norm: true } }, 'it must not have the key "qk_norm"'],
  ["another epsilon", { [CONFIG]: { norm_eps: 1e-3 } }, "norm_eps must be"],
  ["5 output channels", { [CONFIG]: { out_channels: 5 } }, "out_channels must be 4 or 8"],
  ["a strange divisor", { [CONFIG]: { timestep_frequency_divisor: 3 } }, "timestep_frequency_div"],
  ["a block too many", { [CONFIG]: { num_layers: 4 } }, "transformer_blocks.3"],
  ["a block too few", { [CONFIG]: { num_layers: 2 } }, "transformer_blocks.2"],
  ["a class without a name", { [INDEX]: { id2label: { "0": "a" } } }, "must name 7 classes"],
  ["no transformer", { [INDEX]: { transformer: [null, null] } }, "must name a transformer"],
  [
    "another scheduler",
    { "scheduler/scheduler_config.json": { _class_name: "PNDMScheduler" } },
    "PNDMScheduler is not supported",
  ],
];

for (const [what, changes, message] of REFUSED) {
  Deno.test(`a pipeline directory with ${what} is refused`, async () => {
    const files = await pipelineFiles(changes);
    await assertRejects(() => openModel(files), AssetError, message);
  });
}

Deno.test("blocks that embed time in their own ways are refused", async () => {
  const name = "transformer_blocks.2.norm1.emb.timestep_embedder.linear_1.weight";
  const files = await withTensor(name, ({ dims, data }) => ({ dims, data: data.map(() => 0.5) }));
  await assertRejects(
    () => openModel(files),
    AssetError,
    `${name} must equal transformer_blocks.0`,
  );
});

Deno.test("a pipeline directory without its config or with a missing tensor is refused", async () => {
  const files = await pipelineFiles();
  files.delete(CONFIG);
  await assertRejects(
    () => openModel(files),
    AssetError,
    "transformer in memory: it must have con",
  );
  const cut = await withTensor("transformer_blocks.1.attn1.to_k.bias", () => undefined);
  await assertRejects(
    () => openModel(cut),
    AssetError,
    "transformer_blocks.1.attn1.to_k.bias is missing",
  );
});

/** The golden pipeline with one tensor changed, or left out. */
async function withTensor(
  name: string,
  change: (tensor: Tensor) => Tensor | undefined,
): Promise<Map<string, Uint8Array>> {
  const files = await pipelineFiles();
  const { weights } = await openModelDirectory(files);
  const tensors = new Map<string, Tensor>();
  for (const each of weights.names) {
    const tensor = await weights.read(each);
    const kept = each === name ? change(tensor) : tensor;
    if (kept !== undefined) tensors.set(each, kept);
  }
  return files.set(WEIGHTS, joinBytes([...encodeSafetensors(tensors)]));
}

Deno.test("fromDiffusersDit() reads the keys that published files have, whose defaults were another class's", () => {
  const json = fromDiffusersDit({
    _class_name: "Transformer2DModel",
    _diffusers_version: "0.12.0.dev0",
    activation_fn: "gelu-approximate",
    attention_bias: true,
    attention_head_dim: 72,
    cross_attention_dim: null,
    dropout: 0.0,
    in_channels: 4,
    norm_elementwise_affine: false,
    norm_num_groups: 32,
    norm_type: "ada_norm_zero",
    num_attention_heads: 16,
    num_embeds_ada_norm: 1000,
    num_layers: 28,
    num_vector_embeds: null,
    only_cross_attention: false,
    out_channels: 8,
    patch_size: 2,
    sample_size: 32,
    upcast_attention: false,
    use_linear_projection: false,
  });
  assertEquals(parseDitConfig(json), parseDitConfig({})); // the original constructor's defaults are DiT-XL/2
});
