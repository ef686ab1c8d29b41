import { assert, assertEquals } from "@std/assert";
import { openBackend } from "../../../src/backend/select.ts";
import { attend, queriesAtOnce } from "../../../src/engine/decode/chunked_attention.ts";
import { encodeModel } from "../../../src/onnx/model_proto.ts";
import { disposeAll, takeDown } from "../../../src/engine/device_values.ts";
import { describeVae } from "../../../src/model/vae/vae.ts";
import { parseVaeConfig } from "../../../src/model/vae/config.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import { requires } from "../../_shim/requires.ts";
import * as host from "../../conformance/host_operators.ts";
import { assertClose } from "../../conformance/compare.ts";

const VAE = describeVae(parseVaeConfig({ block_out_channels: [512] }));

/** Products of 512 pairs: each of 512 float32 sums may round by 6e-8, mostly not one way. */
const TOLERANCE = 1e-5;

for (const provider of ["wasm", "native", "webgpu"] as const) {
  const needs = provider === "wasm" ? [] : [provider];
  const options = await requires(`attention of autoencoders on ${provider}`, ...needs);
  Deno.test(
    `attend() mixes a head of 512, in one run or in several, on ${provider}`,
    options,
    async () => {
      const { backend } = await openBackend({ backend: provider });
      const session = await backend.load(encodeModel(VAE.middle.attention!));
      const numbers = [0, 1, 2].map((seed) => normalNoise([1, 50, 512], seed));
      const names = ["q", "k", "v"];
      const tokens = Object.fromEntries(
        names.map((name, i) => [name, backend.upload(numbers[i]!)]),
      ); // as many
      const sizes: number[] = [];
      const run = async (inputs: typeof tokens) => {
        sizes.push(inputs["q"]!.dims[1]!);
        return (await session.run(inputs, ["y"]))["y"]!;
      };
      const whole = await takeDown(backend, await attend(backend, tokens, { run, most: 50 }));
      const parts = await takeDown(backend, await attend(backend, tokens, { run, most: 24 }));
      assertEquals(sizes, [50, 24, 24, 2]);
      const [q, k, v] = numbers.map(({ dims, data }) => ({ dims, data: Float64Array.from(data) }));
      const wanted = host.attention(q!, k!, v!, 1); // three
      for (const actual of [whole, parts]) {
        assertClose(actual, wanted, { tolerance: TOLERANCE, what: "attention" });
      }
      assertEquals(backend.live.values, 3);
      disposeAll(tokens);
      await session.dispose();
      await backend.dispose();
    },
  );
}

Deno.test("wasm runs as many queries of 4096 pixels as attend() gives it", async () => {
  const { backend } = await openBackend({ backend: "wasm" });
  const session = await backend.load(encodeModel(VAE.middle.attention!));
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
