import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  MAGCACHE,
  magCacheReuse,
  type MagCacheSettings,
  nearestRatios,
} from "../../../src/calibrate/policies/magcache.ts";
import { recordMagnitudeRatios } from "../../../src/calibrate/policies/magnitude_ratios.ts";
import { PlanError } from "../../../src/errors.ts";
import { engineOf } from "../../../src/engine/engine.ts";
import { openPipeline } from "../../../mod.ts";
import { jsonFile, readFor } from "./policy_file.ts";
import { readGoldenModel } from "../golden.ts";

const GOLDEN = new URL("../../golden/policies/", import.meta.url);
const PUBLISHED: Readonly<Record<string, readonly number[]>> = readJson("published_ratios.json");
const FLUX: MagCacheSettings = {
  ...{ threshold: 0.24, longest: 5, warmup: 0.1, strict: 0, forced: 11, branches: 1 },
};
const WAN: MagCacheSettings = { ...FLUX, warmup: 0.2, strict: 1, forced: 0 };

// deno-lint-ignore no-explicit-any -- each file has a form of its own
function readJson(name: string): any {
  return JSON.parse(Deno.readTextFileSync(new URL(name, GOLDEN)));
}

function computed(ratios: readonly number[], settings: MagCacheSettings): readonly number[] {
  return magCacheReuse(ratios, settings).flatMap((reused, step) => reused ? [] : [step]);
}

Deno.test("magCacheReuse() chooses from FLUX's published ratios the steps that its scripts choose", () => {
  const { flux } = PUBLISHED;
  assertEquals(computed(flux!, FLUX), [0, 1, 2, 5, 9, 11, 17, 23, 26]);
  assertEquals(computed(flux!, { ...FLUX, forced: 0 }), [0, 1, 2, 5, 9, 15, 21, 26]);
  const careful = { ...FLUX, threshold: 0.06, longest: 3, warmup: 0.2, forced: 0 };
  assertEquals(computed(flux!, careful), [0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 21, 24, 26, 27]);
});

Deno.test("magCacheReuse() chooses from Wan's as many as its scripts do, alike for both guided halves", () => {
  for (const name of ["wan-1.3b", "wan-14b"]) {
    const [cond, uncond] = [0, 1].map((branch) =>
      PUBLISHED[name]!.filter((_, i) => i % 2 === branch)
    );
    for (const [threshold, longest, count] of [[0.12, 4, 21], [0.12, 2, 25], [0.24, 6, 18]]) {
      const settings = { ...WAN, threshold: threshold!, longest: longest! };
      const steps = computed(cond!, settings);
      assertEquals(steps.length, count);
      assertEquals(computed(uncond!, settings), steps);
    }
  }
});

Deno.test("nearestRatios() rounds as numpy does, keeps a list of the right length, and takes the last for one step", () => {
  const list = [10, 11, 12, 13, 14, 15];
  assertEquals(nearestRatios(list, 6), list);
  assertEquals(nearestRatios(list, 3), [10, 12, 15]); // 2.5 becomes 2
  assertEquals(nearestRatios(list, 11), [10, 10, 11, 12, 12, 12, 13, 14, 14, 14, 15]);
  assertEquals(nearestRatios(list, 1), [15]);
  assertEquals(nearestRatios([7], 3), [7, 7, 7]);
});

Deno.test("magCacheReuse() never reuses without a residual, for longer than allowed, or beyond the threshold", () => {
  const ratios = fc.array(fc.double({ min: 0.5, max: 2, noNaN: true }), {
    minLength: 1,
    maxLength: 40,
  });
  const settings = fc.record({
    threshold: fc.double({ min: 0, max: 1, noNaN: true }),
    longest: fc.nat(6),
    warmup: fc.double({ min: 0, max: 1, noNaN: true }),
    strict: fc.nat(1),
    forced: fc.nat(27),
    branches: fc.constant(1),
  });
  fc.assert(fc.property(ratios, settings, (list, given) => {
    const reused = magCacheReuse(list, given);
    assertEquals([reused.length, reused[0]], [list.length, false]);
    let [run, product, error] = [0, 1, 0];
    for (const [step, each] of reused.entries()) {
      [run, product, error] = each ? [run + 1, product * list[step]!, error] : [0, 1, 0];
      error += Math.abs(1 - product);
      assert(run <= given.longest && error <= given.threshold);
    }
  }));
});

Deno.test("recordMagnitudeRatios() measures over a guided run what PyTorch does", async () => {
  const { steps, guidance, labels, noise } = await readGoldenModel("dit-a");
  const pipeline = await openPipeline({
    model: new URL("../../golden/dit-a/", import.meta.url),
    backend: "wasm",
  });
  try {
    const conditions = { labels, noise, seeds: [] };
    const counted: number[] = [];
    const onProgress = (done: number, total: number): void => void counted.push(total - done);
    const engine = engineOf(pipeline);
    const found = await recordMagnitudeRatios({
      pipeline: engine,
      steps,
      guidance,
      conditions,
      onProgress,
    });
    const wanted: readonly number[] = readJson("ratios.json");
    assertEquals(found.length, wanted.length);
    for (const [step, ratio] of found.entries()) assertAlmostEquals(ratio, wanted[step]!, 2e-4);
    assertEquals(counted.at(-1), 0);
    assertEquals(engine.backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
});

Deno.test("magcache reads a list of ratios for any number of steps, and refuses what is none", async () => {
  const read = (value: unknown, settings: Partial<MagCacheSettings> = {}, steps = 28) =>
    MAGCACHE.read!(jsonFile(value), { ...FLUX, forced: 0, ...settings }, readFor(steps));
  const texts = (await read(PUBLISHED["flux"])).rows.map(({ text }) => text);
  assertEquals(texts.flatMap((text, step) => text === ".." ? [step] : []), [
    0,
    1,
    2,
    5,
    9,
    15,
    21,
    26,
  ]);
  assertEquals(texts[3], "+");
  assertEquals((await read(PUBLISHED["flux"], {}, 50)).rows.length, 50);
  const wan = { threshold: 0.12, longest: 4, warmup: 0.2, strict: 1, branches: 2 };
  const both = (await read(PUBLISHED["wan-1.3b"], wan, 50)).rows;
  assertEquals(both.filter(({ text }) => text === "..").length, 21);
  const wrong: readonly (readonly [unknown, string, Partial<MagCacheSettings>?])[] = [
    [{}, "it must be a list of ratios"],
    [[], "it must be a list of ratios"],
    [[1, NaN], "ratio 1 must be a number above 0: current value is NaN"],
    [[1, "1.1"], "ratio 1 must be a number above 0"],
    [[1, 1, 0], "ratio 2 must be a number above 0"],
    [[1, 1, 1], "ratios must be as many of each half: current value is 3", { branches: 2 }],
  ];
  for (const [value, message, settings] of wrong) {
    await assertRejects(() => read(value, settings), PlanError, message);
  }
});
