/** Encoding beside its arithmetic: scales, sizes, bands and tiles, refusals, cancelling. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openBackend } from "../../../src/backend/select.ts";
import * as vaes from "../../../src/engine/decode/vae.ts";
import { VaeGraphs } from "../../../src/engine/decode/vae_graphs.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import { joinRows } from "../../../src/tensor/rows.ts";
import { assertClose, relativeError } from "../../conformance/compare.ts";
import { requires } from "../../_shim/requires.ts";
import { interfere } from "../small_model.ts";
import { withGraphs, withVae } from "./small_vae.ts";

const WASM = { name: "vae-16", provider: "wasm" } as const;

Deno.test("encode() gives latents in the diffusion model's scale", async () => {
  await withGraphs(WASM, async (graphs, { golden, vae }) => {
    const image = await golden.readFloat32("encode.image");
    const mean = await vaes.encodeRaw(graphs, image);
    const inScale = mean.data.map((value) => (value - vae.shiftFactor) * vae.scalingFactor);
    const encoded = await vaes.encode(graphs, image);
    assertClose(encoded, { dims: mean.dims, data: inScale }, { tolerance: 1e-7, what: "latent" });
  });
});

Deno.test("encode() takes any multiple of the scale, and pictures of a batch are what each is alone", async () => {
  await withGraphs(WASM, async (graphs, { vae }) => {
    for (const [height, width] of [[1, 1], [1, 5], [3, 2]] as const) {
      const pictures = [1, 2].map((seed) => normalNoise([1, 3, 4 * height, 4 * width], seed));
      const each = [];
      for (const picture of pictures) each.push(await vaes.encode(graphs, picture));
      const both = await vaes.encode(graphs, joinRows(pictures));
      assertEquals(both.dims, [2, vae.latentChannels, height, width]);
      assertEquals(both, joinRows(each));
    }
  });
});

for (const provider of ["wasm", "native", "webgpu"] as const) {
  const needs = provider === "wasm" ? [] : [provider];
  const options = await requires(`bands of encoders on ${provider}`, ...needs);
  Deno.test(
    `a picture in bands of rows encodes as in one piece on ${provider}`,
    options,
    async () => {
      const [height, width] = provider === "webgpu" ? [29, 20] : [31, 41];
      const picture = normalNoise([1, 3, 4 * height, 4 * width], 3);
      await withGraphs({ name: "vae-16", provider }, async (graphs) => {
        const whole = await vaes.encode(graphs, picture);
        const banded = await vaes.encode(graphs, picture, { tile: 24 });
        const off = relativeError(banded.data, whole.data);
        console.log(`bands of an encoder on ${provider}: ${off.toExponential(1)} × max`);
        // Whole pictures are normed by a device's float32 sums, bands by the host's float64.
        assertClose(banded, whole, { tolerance: 2e-4, what: "latent" });
      });
    },
  );
}

Deno.test("a picture that the host has no room for between layers is encoded in tiles", async () => {
  await withGraphs(WASM, async (graphs, { vae }) => {
    const picture = normalNoise([1, 3, 4 * 26, 4 * 30], 3);
    const options = { tile: 24, hostBytes: 0 };
    const tiled = await vaes.encode(graphs, picture, options);
    assertEquals(tiled.dims, [1, vae.latentChannels, 26, 30]);
    assertEquals(await vaes.encode(graphs, picture, options), tiled);
    const whole = await vaes.encode(graphs, picture);
    const mirrored = relativeError(whole.data.toReversed(), whole.data);
    // Estimated statistics change all of it a little; a wrong place would change more.
    assert(relativeError(tiled.data, whole.data) < 0.25 * mirrored);
  });
});

Deno.test("encode() refuses other shapes, numbers that are none, small tiles, and decoders alone", async () => {
  await withGraphs(WASM, async (graphs, { vae }) => {
    const cases = [
      [
        [1, 3, 8, 10],
        "they must be (N, 3, H, W), sides multiples of 4: current value is [1,3,8,10]",
      ],
      [[1, 4, 8, 8], "they must be (N, 3, H, W), sides multiples of 4: current value is [1,4,8,8]"],
      [[3, 8, 8], "they must be (N, 3, H, W), sides multiples of 4: current value is [3,8,8]"],
      [[0, 3, 8, 8], "they must be (N, 3, H, W), sides multiples of 4: current value is [0,3,8,8]"],
    ] as const;
    for (const [dims, why] of cases) {
      await refuses(
        () => vaes.encode(graphs, normalNoise([...dims], 1)),
        `Cannot encode pictures: ${why}`,
      );
    }
    const picture = normalNoise([1, 3, 8, 8], 1);
    const odd = { ...picture, data: picture.data.with(7, NaN) };
    await refuses(
      () => vaes.encode(graphs, odd),
      "Cannot encode pictures: they must be finite numbers: current value is NaN",
    );
    const least = 2 * vae.encoder!.reach; // a golden one has it
    await refuses(
      () => vaes.encode(graphs, picture, { tile: least - 1 }),
      `Cannot encode pictures: tile must be a whole number >= ${least}: current value is ${
        least - 1
      }`,
    );
  });
  await withGraphs({ name: "tiny", provider: "wasm" }, async (graphs) => {
    await refuses(
      () => vaes.encode(graphs, normalNoise([1, 3, 8, 8], 1)),
      "Cannot encode pictures: the autoencoder has no encoder, or none of a kind that is computed.",
    );
  });
});

/** Where a run is stopped: on the way down, in attention, after bands, and between bands and tiles. */
const STOPS = [
  ["encoder.down_blocks.1.resnets.0.leave", {}],
  ["encoder.mid_block.attention", {}],
  ["encoder.mid_block.before", { tile: 24 }],
  ["encoder.down_blocks.0.downsamplers.0", { tile: 24 }],
  ["encoder.down_blocks.0.resnets.0.enter", { tile: 24, hostBytes: 0 }],
] as const;

for (const [graph, options] of STOPS) {
  const how = JSON.stringify(options);
  Deno.test(`an encoding that is stopped or fails at ${graph} leaves nothing behind, ${how}`, async () => {
    await withVae("vae", async ({ vae, weights }) => {
      const { backend } = await openBackend({ backend: "wasm" });
      let onRun: (name: string) => void = () => {};
      const graphs = new VaeGraphs(
        interfere(backend, { onRun: (name) => onRun(name) }),
        vae,
        weights,
      );
      const picture = normalNoise([1, 3, 4 * 26, 4 * 30], 5);
      const wanted = await vaes.encode(graphs, picture, options);
      const before = backend.live;
      const stop = new AbortController();
      onRun = (name) => name === graph && stop.abort();
      const { signal } = stop;
      const stopped = await assertRejects(() =>
        vaes.encode(graphs, picture, { ...options, signal })
      );
      assertEquals(stopped.name, "AbortError");
      onRun = (name) => {
        if (name === graph) throw new Error("no memory");
      };
      const failed = await assertRejects(() => vaes.encode(graphs, picture, options));
      assertEquals(failed.message, "no memory");
      assertEquals(backend.live.values, before.values);
      onRun = () => {};
      assertEquals(await vaes.encode(graphs, picture, options), wanted);
      await graphs.dispose();
      assertEquals(backend.live, { values: 0, sessions: 0 });
      await backend.dispose();
    });
  });
}

async function refuses(task: () => Promise<unknown>, message: string): Promise<void> {
  const error = await assertRejects(task);
  assert(error instanceof RangeError, error.name);
  assertEquals(error.message, message);
}
