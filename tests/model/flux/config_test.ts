import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AssetError } from "../../../src/errors.ts";
import { parseFluxConfig } from "../../../src/model/flux/config.ts";
import { fluxTensors } from "../../../src/model/flux/tensors.ts";
import { openModel } from "../../../src/model/open_model.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { zeros } from "../../../src/tensor/tensor.ts";
import { fluxFiles, randomTensors, SMALL_FLUX } from "./small_flux.ts";

async function opens(config: unknown, tensors: ReadonlyMap<string, Tensor>): Promise<void> {
  const model = await openModel(fluxFiles(config as Record<string, unknown>, tensors)); // as JSON is
  await model.close();
}

Deno.test("parseFluxConfig() has diffusers' defaults, FLUX.1's geometry", () => {
  assertEquals(parseFluxConfig({ _diffusers_version: "0.30.0" }), {
    inChannels: 64,
    numLayers: 19,
    numSingleLayers: 38,
    headDim: 128,
    numHeads: 24,
    jointDim: 4096,
    pooledDim: 768,
    guidanceEmbeds: false,
    axesDims: [16, 56, 56],
  });
});

Deno.test("parseFluxConfig() refuses axes, channels and keys that do not fit, with wanted and got", () => {
  const refuses = (change: object, message: string): unknown =>
    assertThrows(() => parseFluxConfig({ ...SMALL_FLUX, ...change }), AssetError, message);
  refuses(
    { axes_dims_rope: [2, 4, 4] },
    "axes_dims_rope must be 8 in sum, the width of a head: current value is 2,4,4 (10)",
  );
  refuses({ axes_dims_rope: [3, 3, 2] }, "axes_dims_rope must be even: current value is 3,3,2");
  refuses({ out_channels: 64 }, "out_channels must be in_channels (12): current value is 64");
  refuses({ in_channels: 6 }, "in_channels must be a multiple of 4: current value is 6");
  refuses({ patch_size: 2 }, "patch_size must be 1: current value is 2");
  refuses({ mlp_ratio: 4 }, 'must not have the key "mlp_ratio"');
});

Deno.test("a FLUX model is refused when a tensor is missing, extra or of another shape", async () => {
  const tensors = randomTensors(SMALL_FLUX);
  const without = new Map(tensors);
  without.delete("proj_out.bias");
  await assertRejects(
    () => opens(SMALL_FLUX, without),
    AssetError,
    "proj_out.bias must be [12]: current value is missing",
  );
  await assertRejects(
    () => opens(SMALL_FLUX, new Map(tensors).set("extra", zeros([2]))),
    AssetError,
    "tensor extra is not part of",
  );
  await assertRejects(
    () => opens(SMALL_FLUX, new Map(tensors).set("x_embedder.bias", zeros([25]))),
    AssetError,
    "x_embedder.bias must be [24]: current value is [25]",
  );
  await assertRejects(
    () => opens({ ...SMALL_FLUX, guidance_embeds: false }, tensors),
    AssetError,
    "tensor time_text_embed.guidance_embedder.linear_1.bias is not part of",
  );
});

Deno.test("a FLUX model is refused when it mixes the original's names with diffusers'", async () => {
  const mixed = randomTensors(SMALL_FLUX).set("img_in.weight", zeros([24, 12]));
  await assertRejects(
    () => opens(SMALL_FLUX, mixed),
    AssetError,
    "names must all be the original's or all diffusers': current value is img_in.weight and context_embedder.bias",
  );
});

Deno.test("an original FLUX model is refused when a joined tensor has other rows than its parts", async () => {
  const tensors = new Map([
    ["img_in.weight", zeros([24, 12])],
    ["double_blocks.0.img_attn.qkv.weight", zeros([60, 24])],
  ]);
  await assertRejects(
    () => opens(SMALL_FLUX, tensors),
    AssetError,
    "double_blocks.0.img_attn.qkv.weight must have 72 rows: current value is 60",
  );
});

Deno.test("without a config.json only FLUX.1's own heads are known", async () => {
  const files = new Map(fluxFiles(SMALL_FLUX, randomTensors(SMALL_FLUX)));
  files.delete("config.json");
  await assertRejects(
    () => openModel(files),
    AssetError,
    "heads must be 128 wide, or a config.json must lie beside the weights: current value is 8",
  );
  const published = {
    ...SMALL_FLUX,
    attention_head_dim: 128,
    num_attention_heads: 1,
    axes_dims_rope: [16, 56, 56],
  };
  const own = new Map(fluxFiles(published, randomTensors(published)));
  const wanted = await openModel(own);
  own.delete("config.json");
  const inferred = await openModel(own);
  assertEquals(await inferred.fingerprint(), await wanted.fingerprint());
  await wanted.close();
  await inferred.close();
});

Deno.test("fluxTensors() of FLUX.1-dev have 11.9 thousand million numbers, as published", () => {
  const tensors = fluxTensors(parseFluxConfig({ guidance_embeds: true }));
  const count = [...tensors.values()].reduce(
    (sum, dims) => sum + dims.reduce((product, size) => product * size, 1),
    0,
  );
  assertEquals(count, 11_901_408_320); // the sum of the shapes of the published file
});
