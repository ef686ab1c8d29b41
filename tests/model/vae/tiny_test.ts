import { assertEquals, assertThrows } from "@std/assert";
import type { Weights } from "../../../src/assets/weights.ts";
import { AssetError } from "../../../src/errors.ts";
import { openTinyVae } from "../../../src/model/vae/tiny.ts";
import { vaeTensors } from "../../../src/model/vae/vae.ts";
import { readConfig, withVae } from "../../engine/decode/small_vae.ts";

/** `config.json` of madebyollin/taesd. */
const TAESD = {
  "_class_name": "AutoencoderTiny",
  "_diffusers_version": "0.20.0.dev0",
  "act_fn": "relu",
  "decoder_block_out_channels": [64, 64, 64, 64],
  "encoder_block_out_channels": [64, 64, 64, 64],
  "force_upcast": false,
  "in_channels": 3,
  "latent_channels": 4,
  "latent_magnitude": 3,
  "latent_shift": 0.5,
  "num_decoder_blocks": [3, 3, 3, 1],
  "num_encoder_blocks": [1, 3, 3, 3],
  "out_channels": 3,
  "scaling_factor": 1.0,
  "upsampling_scaling_factor": 2,
};

/** Weights that have whatever shape is asked for. */
function weightsOf(shapes: ReadonlyMap<string, readonly number[]>): Weights {
  return {
    names: new Set(shapes.keys()),
    dims: (name) => shapes.get(name),
    read: () => Promise.reject(new Error("not read")),
    sample: () => Promise.reject(new Error("not read")),
  };
}

Deno.test("openTinyVae() names the tensors of the published decoder, which reaches 18 latent pixels", () => {
  const shapes = new Map<string, readonly number[]>();
  const blocks = [2, 3, 4, 7, 8, 9, 12, 13, 14, 17]; // counted in the published file
  const convolution = (name: string, [out, into]: readonly [number, number], bias = true): void => {
    shapes.set(`decoder.layers.${name}.weight`, [out, into, 3, 3]);
    if (bias) shapes.set(`decoder.layers.${name}.bias`, [out]);
  };
  convolution("0", [64, 4]);
  for (const block of blocks) {
    for (const part of [0, 2, 4]) convolution(`${block}.conv.${part}`, [64, 64]);
  }
  for (const doubling of [6, 11, 16]) convolution(`${doubling}`, [64, 64], false);
  convolution("18", [3, 64]);
  const encoder = new Map([...shapes, ["encoder.layers.0.weight", [64, 3, 3, 3]]]);
  const vae = openTinyVae(TAESD, weightsOf(encoder)); // the encoder's may be there
  assertEquals(vaeTensors(vae), shapes);
  const { latentChannels, scale, scalingFactor, shiftFactor, reach } = vae;
  assertEquals([latentChannels, scale, scalingFactor, shiftFactor, reach], [4, 8, 1, 0, 18]);
});

const REFUSED: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ act_fn: "gelu" }, 'act_fn must be "relu": current value is "gelu"'],
  [{ upsample_fn: "bilinear" }, 'upsample_fn must be "nearest": current value is "bilinear"'],
  [{ upsampling_scaling_factor: 4 }, "upsampling_scaling_factor must be 2: current value is 4"],
  [{ out_channels: 4 }, "out_channels must be 3: current value is 4"],
  [{ scaling_factor: 0 }, "scaling_factor must be more than 0: current value is 0"],
  [
    { num_decoder_blocks: [1e9] },
    "num_decoder_blocks.0 must be at most 16: current value is 1000000000",
  ],
  [{ norm_num_groups: 4 }, 'it must not have the key "norm_num_groups"'],
  [
    { decoder_block_out_channels: [] },
    "decoder_block_out_channels must be at least 1: current value is an array of 0",
  ],
  ...[[64], [64, 64, 64, 32]].map((widths) =>
    [
      { decoder_block_out_channels: widths },
      "decoder_block_out_channels must be 4 equal numbers, one for each of num_decoder_blocks: " +
      `current value is ${widths}`,
    ] as const
  ),
];

for (const [keys, message] of REFUSED) {
  Deno.test(`openTinyVae() refuses ${JSON.stringify(keys)} by name`, () => {
    const weights = weightsOf(new Map());
    const error = assertThrows(() => openTinyVae({ ...TAESD, ...keys }, weights), AssetError);
    assertEquals(error.message, `Cannot read config.json of the VAE: ${message}`);
  });
}

Deno.test("openTinyVae() refuses tensors that do not fit", async () => {
  await withVae("tiny", async ({ weights }) => {
    const config = await readConfig("tiny");
    const names = new Set([...weights.names, "loss.logvar"]);
    const error = assertThrows(() => openTinyVae(config, { ...weights, names }), AssetError);
    assertEquals(
      error.message,
      "Cannot use weights: tensor loss.logvar is not part of an AutoencoderTiny " +
        "of this configuration.",
    );
    const dims = (name: string): readonly number[] | undefined =>
      name === "decoder.layers.0.weight" ? undefined : weights.dims(name);
    const missing = assertThrows(() => openTinyVae(config, { ...weights, dims }), AssetError);
    assertEquals(
      missing.message,
      "Cannot use weights: decoder.layers.0.weight must be [8,4,3,3]: current value is missing",
    );
  });
});

Deno.test("openTinyVae() refuses what is no object", () => {
  for (const json of [undefined, null, [], "AutoencoderTiny"]) {
    assertThrows(() => openTinyVae(json, weightsOf(new Map())), AssetError);
  }
});
