import { assert, assertEquals } from "@std/assert";
import { autoencoderNeeds } from "../../../src/engine/decode/needs.ts";
import { openModel } from "../../../src/model/open_model.ts";
import { parseVaeConfig } from "../../../src/model/vae/config.ts";
import { describeVae, vaeTensors } from "../../../src/model/vae/vae.ts";
import { elementCount } from "../../../src/tensor/tensor.ts";

/** What FLUX.1's `vae/config.json` says. */
const FLUX_VAE = {
  _class_name: "AutoencoderKL",
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill("DownEncoderBlock2D"),
  up_block_types: Array(4).fill("UpDecoderBlock2D"),
  latent_channels: 16,
  layers_per_block: 2,
  scaling_factor: 0.3611,
  shift_factor: 0.1159,
  use_quant_conv: false,
  use_post_quant_conv: false,
};

Deno.test("autoencoderNeeds() count every weight of both halves once", async () => {
  const model = await openModel(new URL("../../../models/peeps-flux/", import.meta.url));
  const { vae } = model.autoencoder!; // it is a FLUX pipeline
  await model.close();
  const [decoder, encoder] = autoencoderNeeds(vae, [32, 32]);
  assertEquals([decoder!.half, encoder!.half], ["decoder", "encoder"]);
  const all = [...vaeTensors(vae).values()].reduce((sum, dims) => sum + 4 * elementCount(dims), 0);
  assertEquals(decoder!.weights + encoder!.weights, all);
  const { encoder: _, ...rest } = vae;
  assertEquals(autoencoderNeeds(rest, [32, 32]), [decoder!]);
});

Deno.test("autoencoderNeeds() of FLUX.1 are those of a tile, however large the picture", () => {
  const vae = describeVae(parseVaeConfig(FLUX_VAE));
  const [decoder, encoder] = autoencoderNeeds(vae, [64, 64]);
  // The last layers at 512 × 512: the widest hold 256 channels.
  assert(decoder!.largestSet > 4 * 2 * 256 * 512 ** 2);
  assert(encoder!.largestSet > 4 * 2 * 128 * 512 ** 2);
  const larger = autoencoderNeeds(vae, [128, 128]);
  assertEquals(larger.map(({ weights }) => weights), [decoder!.weights, encoder!.weights]);
  for (const [i, { largestSet }] of larger.entries()) {
    assert(largestSet < 2 * [decoder!, encoder!][i]!.largestSet); // the middle alone has all of it
  }
  const small = autoencoderNeeds(vae, [32, 32]);
  assert(small[0]!.largestSet < decoder!.largestSet / 3);
});
