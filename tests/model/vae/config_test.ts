import { assertEquals, assertThrows } from "@std/assert";
import { AssetError } from "../../../src/errors.ts";
import { parseVaeConfig } from "../../../src/model/vae/config.ts";

/** `config.json` of stabilityai/sd-vae-ft-mse: DiT's autoencoder. */
const SD = {
  "_class_name": "AutoencoderKL",
  "_diffusers_version": "0.4.2",
  "act_fn": "silu",
  "block_out_channels": [128, 256, 512, 512],
  "down_block_types": new Array<string>(4).fill("DownEncoderBlock2D"),
  "in_channels": 3,
  "latent_channels": 4,
  "layers_per_block": 2,
  "norm_num_groups": 32,
  "out_channels": 3,
  "sample_size": 256,
  "up_block_types": new Array<string>(4).fill("UpDecoderBlock2D"),
};

/** Keys of FLUX.1's that the other has not. */
const FLUX = {
  ...SD,
  "_name_or_path": "../checkpoints/flux-dev",
  "force_upcast": true,
  "latent_channels": 16,
  "latents_mean": null,
  "latents_std": null,
  "mid_block_add_attention": true,
  "sample_size": 1024,
  "scaling_factor": 0.3611,
  "shift_factor": 0.1159,
  "use_post_quant_conv": false,
  "use_quant_conv": false,
};

Deno.test("parseVaeConfig() reads the published autoencoder of DiT with diffusers' defaults", () => {
  assertEquals(parseVaeConfig(SD), {
    blockChannels: [128, 256, 512, 512],
    layersPerBlock: 2,
    latentChannels: 4,
    groups: 32,
    scalingFactor: 0.18215,
    shiftFactor: 0,
    sampleSize: 256,
    quantConv: true,
    postQuantConv: true,
    attention: true,
  });
});

Deno.test("parseVaeConfig() reads the published autoencoder of FLUX", () => {
  const { latentChannels, scalingFactor, shiftFactor, quantConv, postQuantConv } = parseVaeConfig(
    FLUX,
  );
  assertEquals(
    [latentChannels, scalingFactor, shiftFactor, quantConv, postQuantConv],
    [16, 0.3611, 0.1159, false, false],
  );
});

const REFUSED: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ _class_name: "VQModel" }, '_class_name must be "AutoencoderKL": current value is "VQModel"'],
  [{ act_fn: "gelu" }, 'act_fn must be "silu" or "swish": current value is "gelu"'],
  [{ latents_mean: [0.1] }, "latents_mean must be of type null: current value is an array of 1"],
  [{ latents_std: [0.1] }, "latents_std must be of type null: current value is an array of 1"],
  [
    { mid_block_add_attention: 1 },
    "mid_block_add_attention must be of type boolean: current value is 1",
  ],
  [{ in_channels: 4 }, "in_channels must be 3: current value is 4"],
  [{ scaling_factor: 0 }, "scaling_factor must be more than 0: current value is 0"],
  [
    { up_block_types: ["AttnUpDecoderBlock2D"] },
    'up_block_types.0 must be "UpDecoderBlock2D": current value is "AttnUpDecoderBlock2D"',
  ],
  [
    { down_block_types: ["DownEncoderBlock2D"] },
    "down_block_types must have 4 parts, as block_out_channels has: current value is 1",
  ],
  [
    { norm_num_groups: 48 },
    "block_out_channels must be multiples of norm_num_groups 48: current value is 128",
  ],
  [{ norm_type: "spatial" }, 'it must not have the key "norm_type"'],
  [{ layers_per_block: 1e9 }, "layers_per_block must be at most 16: current value is 1000000000"],
];

for (const [keys, message] of REFUSED) {
  Deno.test(`parseVaeConfig() refuses ${JSON.stringify(keys)} by name`, () => {
    const error = assertThrows(() => parseVaeConfig({ ...FLUX, ...keys }), AssetError);
    assertEquals(error.message, `Cannot read config.json of the VAE: ${message}`);
  });
}

Deno.test("parseVaeConfig() refuses what is no object", () => {
  for (const json of [undefined, null, [], "AutoencoderKL"]) {
    assertThrows(() => parseVaeConfig(json), AssetError);
  }
});
