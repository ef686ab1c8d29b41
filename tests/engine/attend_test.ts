import { assert, assertEquals } from "@std/assert";
import { openBackend } from "../../src/backend/select.ts";
import { attend, queriesAtOnce } from "../../src/engine/attend.ts";
import { encodeModel } from "../../src/onnx/model_proto.ts";
import { disposeAll, takeDown } from "../../src/engine/transfer.ts";
import { describeVae } from "../../src/model/vae.ts";
import { parseVaeConfig } from "../../src/model/vae_config.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { assertClose } from "../conformance/compare.ts";

const VAE = describeVae(parseVaeConfig({ block_out_channels: [512] }));

Deno.test("attend() of some queries at a time gives what all of them give", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  const session = await backend.load(encodeModel(VAE.decoder.middle.attention));
  const tokens = Object.fromEntries(
    ["q", "k", "v"].map((name, i) => [name, backend.upload(normalNoise([1, 50, 512], i))]),
  );
  const sizes: number[] = [];
  const run = async (inputs: typeof tokens) => {
    sizes.push(inputs["q"]!.dims[1]!);
    return (await session.run(inputs, ["y"]))["y"]!;
  };
  const whole = await takeDown(backend, await attend(backend, tokens, { run, most: 50 }));
  const parts = await takeDown(backend, await attend(backend, tokens, { run, most: 24 }));
  assertEquals(sizes, [50, 24, 24, 2]);
  // Products of 512 pairs, blocked otherwise: each of 512 float32 sums may round by 6e-8, mostly not one way.
  assertClose(parts, whole, { tolerance: 1e-5, what: "attention" });
  assertEquals(backend.live.values, 3);
  disposeAll(tokens);
  await session.dispose();
  await backend.dispose();
});

Deno.test("wasm runs as many queries of 4096 pixels as attend() gives it", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  const session = await backend.load(encodeModel(VAE.decoder.middle.attention));
  const pixels = backend.upload(normalNoise([1, 4096, 512], 1));
  const most = queriesAtOnce(pixels);
  assertEquals(most, 511);
  const q = backend.upload(normalNoise([1, most, 512], 2));
  const { y } = await session.run({ q, k: pixels, v: pixels }, ["y"]);
  const { data } = await takeDown(backend, y!); // asked for
  assert(data.every(Number.isFinite));
  disposeAll({ q, pixels });
  await session.dispose();
  await backend.dispose();
});
