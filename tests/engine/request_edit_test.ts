/** Options of edits: what is refused, what is told, and where a run begins. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { maskDigest, pictureDigest, stepsLeftOut } from "../../src/engine/edit_facts.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import type { Picture } from "../../src/image/picture.ts";
import { pack, unpack } from "../../src/model/flux/scene.ts";
import { examplePlan, rowsOf } from "../plan/example_plans.ts";
import { planTarget } from "../../src/engine/plan_facts.ts";
import type { PlanColumns } from "../../src/plan/columns.ts";
import { makePlan } from "../../src/plan/fit.ts";
import { shiftFactor } from "../../src/sampler/flow_schedule.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { assertClose } from "../conformance/compare.ts";
import { vaeFiles } from "./decode/small_vae.ts";
import { fluxConditions, fluxPipelineFiles, pipelineFiles } from "./pipeline_files.ts";

function picture(width: number, height: number, channels: 1 | 3 | 4 = 3): Picture {
  const pixels = Uint8Array.from({ length: width * height * channels }, (_, i) => i * 37);
  return { width, height, channels, pixels };
}

const IMAGE = picture(32, 48);
/** White above, black below. */
const MASK: Picture = {
  ...picture(32, 48, 1),
  pixels: Uint8Array.from({ length: 32 * 48 }, (_, i) => i < 16 * 48 ? 255 : 0),
};

async function withFlux<T>(
  use: (engine: Engine, given: GenerateOptions) => Promise<T>,
): Promise<T> {
  const engine = await openEngine({ backend: "wasm", model: await fluxPipelineFiles() });
  try {
    const conditions = await fluxConditions();
    return await use(engine, { ...conditions, steps: 4, label: 0, plan: "none" });
  } finally {
    await engine.close();
  }
}

const BAD: readonly (readonly [options: object, kind: typeof RangeError, why: string])[] = [
  ...[0, -0.1, 1.01, NaN, Infinity].map((strength) =>
    [
      { image: IMAGE, strength },
      RangeError,
      `strength must be above 0 and at most 1: current value is ${strength}`,
    ] as const
  ),
  [
    { image: IMAGE, mask: picture(32, 47, 1) },
    RangeError,
    "mask must be 32 × 48, as the image is: current value is 32 × 47",
  ],
  [{ mask: MASK }, TypeError, "mask must be given together with an image"],
  [{ strength: 0.5 }, TypeError, "strength must be given together with an image"],
  [
    { image: { ...IMAGE, pixels: new Uint8Array(5) } },
    TypeError,
    "image must be a picture, its width × height × channels (1, 3 or 4) in pixels: " +
    "current value is 32 × 48 × 3, 5 pixels",
  ],
  [
    { image: { ...IMAGE, width: 0 } },
    TypeError,
    "image must be a picture, its width × height × channels (1, 3 or 4) in pixels: " +
    "current value is 0 × 48 × 3, 4608 pixels",
  ],
  [
    { image: IMAGE, mask: null },
    TypeError,
    "mask must be a picture, its width × height × channels (1, 3 or 4) in pixels: " +
    "current value is undefined × undefined × undefined, undefined pixels",
  ],
];

Deno.test("what is no edit is refused before anything runs, and says why", async () => {
  await withFlux(async (engine, given) => {
    for (const [options, kind, why] of BAD) {
      const error = await assertRejects(() => engine.prepare({ ...given, ...options }));
      assertInstanceOf(error, kind);
      assertEquals(error.message, `Cannot generate: ${why}`);
    }
    const scattered = normalNoise([24, 3], 1);
    const { grid: _, ...rest } = given;
    const other = { ...rest, imageIds: scattered, image: IMAGE };
    const error = await assertRejects(() => engine.prepare(other), RangeError);
    assert(error.message.includes("image needs a grid of tokens"), error.message);
    assertEquals(engine.backend.live.values, 0);
  });
});

Deno.test("models whose autoencoder has no encoder, or that have none, take no image", async () => {
  const files = await fluxPipelineFiles();
  const tiny = new Map([...await pipelineFiles(), ...await vaeFiles("tiny")]);
  const none = new Map([...files].filter(([name]) => !name.startsWith("vae/")));
  const index = JSON.parse(new TextDecoder().decode(none.get("model_index.json")));
  const { vae: _, ...others } = index;
  none.set("model_index.json", new TextEncoder().encode(JSON.stringify(others)));
  const cases = [[tiny, "has no encoder"], [none, "need an autoencoder"]] as const;
  for (const [model, why] of cases) {
    const engine = await openEngine({ backend: "wasm", model });
    const conditions = model === none ? await fluxConditions() : {};
    const options = { ...conditions, label: 0, steps: 2, image: IMAGE } as const;
    const error = await assertRejects(() => engine.prepare(options), RangeError);
    await engine.close();
    assert(error.message.includes(why), error.message);
  }
});

Deno.test("a mask has one digest, whether a file says it in grey, in colours or by what is transparent", () => {
  const { width, height, pixels } = MASK;
  const inColours = (of: (level: number) => readonly number[]): Uint8Array =>
    Uint8Array.from([...pixels].flatMap((level) => of(level)));
  const coloured = inColours((level) => [level, level, level]);
  const transparent = inColours((level) => [0, 0, 0, 255 - level]); // as the page saves it, on white
  assertEquals(maskDigest({ width, height, channels: 3, pixels: coloured }), maskDigest(MASK));
  assertEquals(maskDigest({ width, height, channels: 4, pixels: transparent }), maskDigest(MASK));
});

Deno.test("stepsLeftOut() is diffusers': at least one step runs, and with strength 1 all do", () => {
  assertEquals([0.6, 1, 0.3, 0.01, 0.99].map((s) => stepsLeftOut(28, s)), [11, 0, 19, 27, 0]);
  assertEquals([0.5, 1e-9, 1e-121, 1].map((s) => stepsLeftOut(1, s)), [0, 0, 0, 0]);
  assertEquals(stepsLeftOut(28, 1e-121), 27); // which the steps of a float64 cannot tell from 0
});

Deno.test("an image is cropped and resized, and that is told; one of the run's size is not", async () => {
  await withFlux(async (engine, given) => {
    const noticesOf = async (image: Picture): Promise<readonly string[]> => {
      return (await engine.prepare({ ...given, image })).notices;
    };
    assertEquals(await noticesOf(IMAGE), []);
    assertEquals(await noticesOf(picture(64, 96)), [
      "The image of 64 × 96 was resized to 32 × 48.",
    ]);
    assertEquals(await noticesOf(picture(32, 64)), [
      "The image of 32 × 64 was cropped to 32 × 48 around its centre.",
    ]);
    assertEquals(await noticesOf(picture(100, 60, 4)), [
      "The image of 100 × 60 was cropped to 40 × 60 around its centre and resized to 32 × 48.",
    ]);
  });
});

Deno.test("an edit runs the last steps only, and says in its record what it began from", async () => {
  await withFlux(async (engine, given) => {
    const options = { ...given, image: IMAGE, mask: MASK, strength: 0.5, seed: 3 };
    const { kinds, steps, edit, latents, pictures } = await engine.generate(options);
    assertEquals([kinds.length, steps], [2, 4]);
    assertEquals(edit, {
      image: pictureDigest(IMAGE),
      mask: pictureDigest(MASK),
      strength: 0.5,
    });
    assertEquals([pictures[0]!.width, pictures[0]!.height], [32, 48]);
    const again = await engine.generate(options);
    assertEquals(again.latents, latents);
    const other = await engine.generate({ ...options, seed: 4 });
    // What the mask keeps is the picture's own, whatever the noise.
    const below = (tensor: typeof latents): Float32Array =>
      unpack(tensor, [6, 4]).data.filter((_, i) => Math.floor(i / 8) % 12 >= 6);
    assertEquals(below(other.latents), below(latents));
    assert(other.latents.data.some((value, i) => value !== latents.data[i]));
    assertEquals(engine.backend.live.values, 0);
  });
});

Deno.test("strength 1 begins from noise alone: the image changes nothing without a mask", async () => {
  await withFlux(async (engine, given) => {
    const plain = await engine.generate(given);
    const edited = await engine.generate({ ...given, image: IMAGE, strength: 1 });
    assertEquals(edited.latents.data.map((v) => v + 0), plain.latents.data.map((v) => v + 0));
  });
});

Deno.test("a plan's rest runs where it stands alone, and else computes what it lacks, which is told", async () => {
  await withFlux(async (engine, given) => {
    const { request: { sampler: { times }, guidance } } = await engine.prepare(given);
    const { length } = engine.model.transformer.modules;
    const target = await planTarget(engine.model, { times, guidance, tokenGrid: [6, 4] });
    const [all, none] = [".".repeat(length), "r".repeat(length)];
    const planOf = (rows: readonly string[]) =>
      makePlan(target, examplePlan(rows).rows.map(([row]) => row!), {
        policy: { name: "hand", parameters: {} },
      });
    const run = { ...given, image: IMAGE, strength: 0.5 };
    const alone = await engine.generate({ ...run, plan: planOf([all, "=", all, none]) });
    assertEquals([alone.kinds, alone.notices], [["full", "reuse"], []]);
    const lacking = await engine.generate({ ...run, plan: planOf([all, "=", none, none]) });
    assertEquals(lacking.kinds, ["full", "reuse"]);
    assertEquals(lacking.notices, [
      "The plan begins at step 2 of 4: 1 of its steps do otherwise than it says, " +
      "for what they would load or weigh is of steps that are left out.",
    ]);
    assertEquals(lacking.latents, alone.latents);
    const full = await engine.generate(run);
    const whole = await engine.generate({ ...run, plan: planOf([all, all, all, all]) });
    assertClose(whole.latents, full.latents, { tolerance: 1e-6, what: "latents" });
  });
});

Deno.test("a plan that owns its times is begun in the middle, too: weights hold as far as what they weigh is there", async () => {
  await withFlux(async (engine, given) => {
    const { request: { guidance } } = await engine.prepare(given);
    const { length } = engine.model.transformer.modules;
    const target = await planTarget(engine.model, { times: [], guidance, tokenGrid: [6, 4] });
    const all = ".".repeat(length);
    const planOf = (rows: readonly string[], columns: PlanColumns) =>
      makePlan(target, rowsOf(rows, target.modules), {
        policy: { name: "hand", parameters: {} },
        own: {
          times: [1, 0.8, 0.5, 0.2],
          shift: shiftFactor(engine.model.sampler.shift, 24),
          columns,
        },
      });
    const run = { ...given, steps: 4, image: IMAGE, strength: 0.5 };
    const drawn = async (rows: readonly string[], columns: PlanColumns) => {
      const { kinds, notices, latents } = await engine.generate({
        ...run,
        plan: planOf(rows, columns),
      });
      return { kinds, notices, latents };
    };
    const one = [0.9, -0.2];
    const rows = [all, all, all, all];
    // What weighs no more outputs than there are by then holds, whatever the steps that are left out do.
    const alone = await drawn(rows, { update: [one, null, one, [0.9, -0.2, 0.1]] });
    assertEquals([alone.kinds, alone.notices], [["full", "full"], []]);
    const others = await drawn(rows, { update: [null, [1, -0.3, 0.1], one, [0.9, -0.2, 0.1]] });
    assertEquals(others, alone);
    // What weighs more is left to the solver, and told.
    const lacking = await drawn(rows, { update: [one, one, [0.9, -0.2, 0.1], one] });
    const ruled = await drawn(rows, { update: [one, one, null, one] });
    assertEquals(lacking.latents, ruled.latents);
    assert(lacking.latents.data.some((value, i) => value !== alone.latents.data[i]));
    const told = "The plan begins at step 2 of 4: 1 of its steps do otherwise than it says, " +
      "for what they would load or weigh is of steps that are left out.";
    assertEquals([lacking.notices, ruled.notices], [[told], []]);
    // A forecast of what is left out calls the model instead.
    const forecast = [null, null, [0.5, 0.5], null];
    const called = await drawn([all, all, "~", all], { update: [one, one, one, one], forecast });
    assertEquals([called.kinds, called.notices], [["full", "full"], [told]]);
  });
});

Deno.test("pack() undoes unpack()", () => {
  const latents = normalNoise([2, 24, 16], 1);
  assertEquals(pack(unpack(latents, [6, 4])), latents);
});

Deno.test("a DiT begins from a picture, too, by its autoencoder", async () => {
  const engine = await openEngine({ backend: "wasm", model: await pipelineFiles() });
  const given = { label: 1, steps: 5, plan: "none", guidance: 1 } as const;
  const run = await engine.generate({ ...given, image: IMAGE, strength: 0.2 });
  await engine.close();
  assertEquals(run.kinds.length, 1);
  assert(run.latents.data.every(Number.isFinite));
});
