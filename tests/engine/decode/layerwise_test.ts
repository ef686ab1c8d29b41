import { assertEquals } from "@std/assert";
import { bytesBetweenLayers } from "../../../src/engine/decode/layerwise.ts";
import { describeVae } from "../../../src/model/vae/vae.ts";
import { parseVaeConfig } from "../../../src/model/vae/config.ts";

Deno.test("a picture of the published autoencoders takes 1 KiB a pixel between layers: 256 channels, once", () => {
  const vae = describeVae(parseVaeConfig({
    block_out_channels: [128, 256, 512, 512],
    down_block_types: new Array<string>(4).fill("DownEncoderBlock2D"),
    up_block_types: new Array<string>(4).fill("UpDecoderBlock2D"),
    layers_per_block: 2,
  }));
  assertEquals(bytesBetweenLayers(vae.up, [128, 128]), 1024 * 1024 * 1024);
  assertEquals(bytesBetweenLayers(vae.up, [16, 8]), 1024 * 128 * 64);
  assertEquals(bytesBetweenLayers(vae.encoder!.down, [1024, 1024]), 1024 * 1024 * 1024);
});

Deno.test("a layer that keeps its channels takes its picture twice, the one that goes round among them", () => {
  const vae = describeVae(parseVaeConfig({ block_out_channels: [32], norm_num_groups: 8 }));
  assertEquals(bytesBetweenLayers(vae.up, [10, 10]), 4 * 2 * 32 * 100);
});
