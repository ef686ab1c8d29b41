/** The autoencoder beside its arithmetic: sizes, scales, refusals, cancelling. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openBackend } from "../../../src/backend/select.ts";
import * as vaes from "../../../src/engine/decode/vae.ts";
import { VaeGraphs } from "../../../src/engine/decode/vae_graphs.ts";
import { BackendError } from "../../../src/errors.ts";
import { crop } from "../../../src/engine/decode/tiles.ts";
import { openVae } from "../../../src/model/vae/vae.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Weights } from "../../../src/assets/weights.ts";
import { assertClose } from "../../conformance/compare.ts";
import { requires } from "../../_shim/requires.ts";
import { interfere } from "../small_model.ts";
import { largestDifference, readConfig, withGraphs, withVae } from "./small_vae.ts";

const WASM = { name: "vae-16", provider: "wasm" } as const;
/** Rounding of one float32 factor or sum at each end of some 60 layers. */
const SCALED = 1e-5;

Deno.test("decode() takes latents in the diffusion model's scale", async () => {
  await withGraphs(WASM, async (graphs, { golden, vae }) => {
    const latent = await golden.readFloat32("latent.rect");
    const scaled = latent.data.map((value) => (value - vae.shiftFactor) * vae.scalingFactor);
    const wanted = await vaes.decodeRaw(graphs, latent);
    const picture = await vaes.decode(graphs, { dims: latent.dims, data: scaled });
    assertClose(picture, wanted, { tolerance: SCALED, what: "picture" });
  });
});

Deno.test("pictures of a batch are what each is alone", async () => {
  await withGraphs(WASM, async (graphs, { golden }) => {
    const latents = await golden.readFloat32("latent");
    const both = await vaes.decodeRaw(graphs, latents);
    const half = latents.data.length / 2;
    const second = { dims: [1, ...latents.dims.slice(1)], data: latents.data.slice(half) };
    const alone = await vaes.decodeRaw(graphs, second);
    assertEquals(both.data.slice(both.data.length / 2), alone.data);
  });
});

Deno.test("decode() takes any sizes, of one pixel and odd ones too", async () => {
  await withGraphs(WASM, async (graphs, { vae }) => {
    for (const [height, width] of [[1, 1], [1, 5], [3, 2]] as const) {
      const latents = normalNoise([1, vae.latentChannels, height, width], 1);
      const picture = await vaes.decode(graphs, latents);
      assertEquals(picture.dims, [1, 3, 4 * height, 4 * width]);
      assert(picture.data.every(Number.isFinite));
    }
  });
});

for (const provider of ["wasm", "native"] as const) {
  const needs = provider === "wasm" ? [] : [provider];
  const options = await requires(`autoencoders in few graphs on ${provider}`, ...needs);
  for (const name of ["vae", "vae-16", "tiny"] as const) {
    Deno.test(
      `a small picture of ${name} in few graphs is, to the last bit, that of each step on ${provider}`,
      options,
      async () => {
        await withGraphs({ name, provider }, async (graphs, { vae, weights, backend }) => {
          const { upWhole = [], ...inSteps } = vae;
          assert(upWhole.length > 0 && upWhole.length < vae.up.length);
          const each = new VaeGraphs(backend, inSteps, weights);
          for (const [height, width] of [[8, 8], [5, 9], [1, 1]] as const) {
            const latents = normalNoise([1, vae.latentChannels, height, width], 7);
            const [few, all] = [
              await vaes.decode(graphs, latents),
              await vaes.decode(each, latents),
            ];
            assertEquals(few.dims, all.dims);
            assert(few.data.every((value, i) => value === all.data[i]), `${height} × ${width}`);
          }
          await each.dispose();
        });
      },
    );
  }
}

Deno.test("a picture of more pixels than run in few graphs is decoded step by step", async () => {
  await withGraphs(WASM, async (_, { vae, weights, backend }) => {
    const run: string[] = [];
    const watched = interfere(backend, { onRun: (name) => void run.push(name) });
    const seen = new VaeGraphs(watched, vae, weights);
    const side = 1 << 8; // 2^16 pixels are the most
    const latents = normalNoise([1, vae.latentChannels, side / vae.scale, side / vae.scale + 1], 7);
    await vaes.decode(seen, latents);
    assert(!run.some((name) => name.startsWith("decoder.up.")));
    await vaes.decode(seen, normalNoise([1, vae.latentChannels, 2, 2], 7));
    assert(run.some((name) => name.startsWith("decoder.up.")));
    await seen.dispose();
  });
});

for (const provider of ["wasm", "native", "webgpu"] as const) {
  const needs = provider === "wasm" ? [] : [provider];
  const options = await requires(`bands of autoencoders on ${provider}`, ...needs);
  Deno.test(
    `a picture in bands of rows is the one in one piece on ${provider}`,
    options,
    async () => {
      const latents = normalNoise(provider === "webgpu" ? [1, 16, 29, 20] : [1, 16, 31, 41], 3);
      await withGraphs({ name: "vae-16", provider }, async (graphs) => {
        const whole = await vaes.decode(graphs, latents);
        const banded = await vaes.decode(graphs, latents, { tile: 24 });
        // Whole pictures are normed by a device's float32 sums, bands by the host's float64.
        const levels = largestDifference(banded, whole) * 127.5;
        console.log(`bands of rows on ${provider}: ${levels.toExponential(1)} levels of 255`);
        assert(levels < 0.05, `${levels}`);
      });
    },
  );
}

Deno.test("a picture that the host has no room for between layers comes in tiles", async () => {
  const latents = normalNoise([1, 16, 26, 30], 3);
  await withGraphs(WASM, async (graphs) => {
    const options = { tile: 24, hostBytes: 0 };
    const tiled = await vaes.decode(graphs, latents, options);
    assertEquals(tiled.dims, [1, 3, 104, 120]);
    assertEquals(await vaes.decode(graphs, latents, options), tiled);
    const whole = await vaes.decode(graphs, latents);
    // Estimated statistics change all of a picture of random weights; a wrong place would change more.
    assert(meanDifference(tiled, whole) < 0.25 * meanDifference(mirrored(whole), whole));
  });
});

Deno.test("bands of a decoder without norms are the picture in one piece, tiles are it beside seams", async () => {
  const latents = normalNoise([1, 4, 37, 45], 3);
  await withGraphs({ name: "tiny", provider: "wasm" }, async (graphs, { vae }) => {
    const whole = await vaes.decode(graphs, latents);
    assert(2 * vae.reach <= 24);
    const banded = await vaes.decode(graphs, latents, { tile: 24 });
    assertClose(banded, whole, { tolerance: 1e-6, what: "picture" });
    const tiled = await vaes.decode(graphs, latents, { tile: 24, hostBytes: 0 });
    const corner = (picture: Tensor): Tensor =>
      crop(picture, { rows: { first: 0, size: 20 }, columns: { first: 0, size: 20 } });
    assertClose(corner(tiled), corner(whole), { tolerance: 1e-6, what: "first tile's own part" });
    assert(meanDifference(tiled, whole) < 0.25 * meanDifference(mirrored(whole), whole));
  });
});

Deno.test("decode() refuses other shapes, numbers that are none, and tiles that are all seam", async () => {
  await withGraphs(WASM, async (graphs, { vae }) => {
    const latents = normalNoise([1, 16, 2, 2], 1);
    await refuses(
      () => vaes.decode(graphs, normalNoise([1, 4, 2, 2], 1)),
      "Cannot decode latents: they must be (N, 16, H, W): current value is [1,4,2,2]",
    );
    await refuses(
      () => vaes.decode(graphs, { dims: [16, 2, 2], data: latents.data }),
      "Cannot decode latents: they must be (N, 16, H, W): current value is [16,2,2]",
    );
    for (const value of [NaN, Infinity]) {
      const data = latents.data.with(5, value);
      await refuses(
        () => vaes.decode(graphs, { dims: latents.dims, data }),
        `Cannot decode latents: they must be finite numbers: current value is ${value}`,
      );
    }
    assertEquals(vae.reach, 12);
    for (const tile of [23, 24.5, NaN]) {
      await refuses(
        () => vaes.decode(graphs, latents, { tile }),
        `Cannot decode latents: tile must be a whole number >= 24: current value is ${tile}`,
      );
    }
  });
});

/** Where a run is stopped: on the way up, in attention, within a layer of three parts, and between bands. */
const STOPS = [
  ["decoder.up.2", {}, "vae"],
  ["decoder.mid_block.attention", {}, "vae"],
  ["decoder.up_blocks.0.resnets.1.enter", { tile: 24 }, "vae"],
  ["decoder.up_blocks.0.resnets.1.leave", { tile: 24, hostBytes: 0 }, "vae"],
  ["decoder.up.1", {}, "tiny"],
  ["decoder.layers.3.conv.2", { tile: 24 }, "tiny"],
  ["decoder.mid_block.after", {}, "no-attention"],
] as const;

for (const weights of ["initializers", "inputs"] as const) {
  for (const [graph, options, name] of STOPS) {
    const how = `${JSON.stringify(options)}, weights as ${weights}`;
    Deno.test(`a decoding that is stopped or fails at ${graph} leaves nothing behind, ${how}`, async () => {
      await withVae(name, async ({ vae, weights: numbers }) => {
        const { backend } = await openBackend({ backend: "wasm" });
        let onRun: (name: string) => void = () => {};
        const watched = interfere(backend, { weights, onRun: (name) => onRun(name) });
        const graphs = new VaeGraphs(watched, vae, numbers);
        const latents = normalNoise([1, 4, 26, 30], 5);
        const wanted = await vaes.decode(graphs, latents, options);
        const before = backend.live;
        const stop = new AbortController();
        onRun = (name) => name === graph && stop.abort();
        const { signal } = stop;
        const stopped = await assertRejects(() =>
          vaes.decode(graphs, latents, { ...options, signal })
        );
        assertEquals(stopped.name, "AbortError");
        assertEquals(backend.live, before);
        onRun = (name) => {
          if (name === graph) throw new Error("no memory");
        };
        const failed = await assertRejects(() => vaes.decode(graphs, latents, options));
        assertEquals(failed.message, "no memory");
        onRun = () => {};
        assertEquals(await vaes.decode(graphs, latents, options), wanted);
        assertEquals(backend.live, before); // what failed was loaded anew
        await graphs.dispose();
        assertEquals(backend.live, { values: 0, sessions: 0 });
        await backend.dispose();
      });
    });
  }
}

Deno.test("a timer gets its turn while a picture is decoded, and an abort from it ends it", async () => {
  await withGraphs(WASM, async (graphs) => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 0);
    const latents = normalNoise([1, 16, 48, 48], 5); // far longer than a look at events is put off
    const { name } = await assertRejects(() =>
      vaes.decode(graphs, latents, { signal: stop.signal })
    );
    assertEquals(name, "AbortError");
  });
});

Deno.test("weights that cannot be read stop a decoding, and the next one reads them", async () => {
  await withVae("vae", async ({ vae, weights }) => {
    for (const kind of ["initializers", "inputs"] as const) {
      let broken = true;
      const shaky: Weights = {
        ...weights,
        read: (name, signal) => {
          if (broken && name.startsWith("decoder.up_blocks.1")) {
            return Promise.reject(new Error("cut"));
          }
          return weights.read(name, signal);
        },
      };
      const { backend } = await openBackend({ backend: "wasm" });
      const graphs = new VaeGraphs(interfere(backend, { weights: kind }), vae, shaky);
      const latents = normalNoise([1, 4, 3, 3], 5);
      assertEquals((await assertRejects(() => vaes.decode(graphs, latents))).message, "cut");
      broken = false;
      assert((await vaes.decode(graphs, latents)).data.some((value) => value !== 0));
      await graphs.dispose();
      assertEquals(backend.live, { values: 0, sessions: 0 });
      await backend.dispose();
    }
  });
});

Deno.test("two decodings at a time are what each is alone, and one that stops does not stop the other", async () => {
  await withGraphs(WASM, async (graphs) => {
    const latents = normalNoise([1, 16, 3, 3], 5);
    const stop = new AbortController();
    const both = [
      vaes.decode(graphs, latents, { signal: stop.signal }),
      vaes.decode(graphs, latents),
    ];
    stop.abort();
    assertEquals((await assertRejects(() => both[0]!)).name, "AbortError"); // the first of two
    assertEquals(await both[1]!, await vaes.decode(graphs, latents)); // the second
  });
});

Deno.test("an graphs that is disposed while it decodes loads nothing more", async () => {
  await withVae("vae", async ({ vae, weights }) => {
    const { backend } = await openBackend({ backend: "wasm" });
    let disposed: Promise<void> | undefined;
    const watched = interfere(backend, {
      onRun: (name) => disposed ??= name.includes("attention") ? graphs.dispose() : undefined,
    });
    const graphs: VaeGraphs = new VaeGraphs(watched, vae, weights);
    const decoding = vaes.decode(graphs, normalNoise([1, 4, 3, 3], 5));
    assert(await assertRejects(() => decoding) instanceof BackendError);
    await disposed;
    assertEquals(backend.live, { values: 0, sessions: 0 });
    await backend.dispose();
  });
});

Deno.test("a checkpoint with the names of old attention decodes to the same picture", async () => {
  await withVae("vae", async ({ weights, golden }) => {
    const old = new Map([["to_q", "query"], ["to_k", "key"], ["to_v", "value"], [
      "to_out.0",
      "proj_attn",
    ]]);
    const isOf = (name: string, part: string): boolean => name.includes(`attentions.0.${part}.`);
    const names = new Map([...weights.names].map((name) => {
      const [now, before] = [...old].find(([part]) => isOf(name, part)) ?? ["", ""];
      return [name.replace(`.${now}.`, `.${before}.`), name];
    }));
    const renamed: Weights = {
      names: new Set(names.keys()),
      dims: (name) => weights.dims(names.get(name) ?? ""),
      read: (name, signal) => weights.read(names.get(name)!, signal), // it was found in names
      sample: (name, indices) => weights.sample(names.get(name)!, indices), // as above
    };
    const { backend } = await openBackend({ backend: "wasm" });
    const graphs = new VaeGraphs(backend, openVae(await readConfig("vae"), renamed), renamed);
    const picture = await vaes.decodeRaw(graphs, await golden.readFloat32("latent.rect"));
    const wanted = await golden.readFloat32("image.rect");
    assertClose(picture, wanted, { tolerance: 5e-4, what: "picture" });
    await graphs.dispose();
    await backend.dispose();
  });
});

async function refuses(task: () => Promise<unknown>, message: string): Promise<void> {
  const error = await assertRejects(task);
  assert(error instanceof RangeError, error.name);
  assertEquals(error.message, message);
}

function meanDifference(a: Tensor, b: Tensor): number {
  return a.data.reduce((sum, value, i) => sum + Math.abs(value - b.data[i]!), 0) / a.data.length;
}

function mirrored({ dims, data }: Tensor): Tensor {
  return { dims, data: data.toReversed() };
}
