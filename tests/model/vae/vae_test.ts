import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Weights } from "../../../src/assets/weights.ts";
import { AssetError } from "../../../src/errors.ts";
import { describeVae, openVae, vaeTensors } from "../../../src/model/vae/vae.ts";
import { parseVaeConfig } from "../../../src/model/vae/config.ts";
import { readConfig, withVae } from "../../engine/decode/small_vae.ts";

/** Weights with some shapes changed; `undefined` takes a tensor away. */
function changed(
  weights: Weights,
  shapes: Readonly<Record<string, readonly number[] | undefined>>,
): Weights {
  const names = new Set(weights.names);
  for (const [name, dims] of Object.entries(shapes)) {
    if (dims === undefined) names.delete(name);
    else names.add(name);
  }
  const dims = (name: string): readonly number[] | undefined =>
    name in shapes ? shapes[name] : weights.dims(name);
  return { ...weights, names, dims };
}

const REFUSED: readonly (readonly [Record<string, readonly number[] | undefined>, string])[] = [
  [
    { "decoder.conv_in.weight": undefined },
    "decoder.conv_in.weight must be [32,4,3,3]: current value is missing",
  ],
  [
    { "decoder.conv_in.weight": [32, 4, 1, 1] },
    "decoder.conv_in.weight must be [32,4,3,3]: current value is [32,4,1,1]",
  ],
  [
    { "decoder.mid_block.attentions.0.to_out.0.bias": [16] },
    "decoder.mid_block.attentions.0.to_out.0.bias must be [32]: current value is [16]",
  ],
  [
    { "encoder.mid_block.attentions.0.to_out.0.bias": [16] },
    "encoder.mid_block.attentions.0.to_out.0.bias must be [32]: current value is [16]",
  ],
  [
    { "quant_conv.bias": [9] },
    "quant_conv.bias must be [8]: current value is [9]",
  ],
  [
    { "loss.logvar": [1] },
    "tensor loss.logvar is not part of an AutoencoderKL of this configuration.",
  ],
  [
    { "decoder.mid_block.attentions.0.query.weight": [32, 32] }, // both kinds of names
    "decoder.mid_block.attentions.0.query.bias must be [32]: current value is missing",
  ],
];

for (const [shapes, message] of REFUSED) {
  Deno.test(`openVae() refuses tensors: ${message}`, async () => {
    await withVae("vae", async ({ weights }) => {
      const config = await readConfig("vae");
      const error = assertThrows(() => openVae(config, changed(weights, shapes)), AssetError);
      assertEquals(error.message, `Cannot use weights: ${message}`);
    });
  });
}

Deno.test("openVae() takes a decoder without an encoder, and then does not encode", async () => {
  await withVae("vae", async ({ weights, vae }) => {
    assert(vae.encoder !== undefined);
    const encoding = [...weights.names].filter((name) => name.startsWith("encoder."));
    const without = changed(weights, Object.fromEntries(encoding.map((name) => [name, undefined])));
    const { up, encoder } = openVae(await readConfig("vae"), without);
    assertEquals([up.length, encoder], [vae.up.length, undefined]);
  });
});

Deno.test("openVae() says what a pipeline must know", async () => {
  const facts: number[][] = [];
  for (const name of ["vae", "vae-16"] as const) {
    await withVae(name, ({ vae: { latentChannels, scale, scalingFactor, shiftFactor } }) => {
      facts.push([latentChannels, scale, scalingFactor, shiftFactor]);
      return Promise.resolve();
    });
  }
  assertEquals(facts, [[4, 4, 0.18215, 0], [16, 4, 0.3611, 0.1159]]);
});

Deno.test("the published geometry has 248 tensors, 83.65 million numbers, a scale of 8 and a reach of 13", () => {
  const vae = describeVae(parseVaeConfig({
    block_out_channels: [128, 256, 512, 512],
    down_block_types: new Array<string>(4).fill("DownEncoderBlock2D"),
    up_block_types: new Array<string>(4).fill("UpDecoderBlock2D"),
    layers_per_block: 2,
  }));
  const tensors = vaeTensors(vae);
  const numbers = [...tensors.values()]
    .reduce((sum, dims) => sum + dims.reduce((product, size) => product * size, 1), 0);
  assertEquals([tensors.size, numbers], [248, 83_653_863]);
  assertEquals([vae.scale, vae.reach, vae.encoder?.reach], [8, 13, 9]);
});
