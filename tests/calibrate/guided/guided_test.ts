import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { Drift } from "../../../src/calibrate/guided/drift.ts";
import { driftBetween, sampler } from "../../../src/calibrate/guided/drift.ts";
import {
  type GuidedChoice,
  guidedChoice,
  type GuidedSettings,
} from "../../../src/calibrate/guided/guided.ts";
import { predictionWeights } from "../../../src/sampler/ddim.ts";
import { linearSchedule } from "../../../src/sampler/noise_schedule.ts";
import { normalNoise } from "../../../src/tensor/random.ts";

const STEPS = 7;

/** Drift that grows by `speed[k]` in step k. */
function driftOf(kind: string, column: number, speed: readonly number[]): Drift {
  const scores = speed.map((_, held) =>
    Float32Array.from(
      speed,
      (_, step) => speed.slice(held + 1, step + 1).reduce((sum, s) => sum + s, 0),
    )
  );
  return { kind, column, name: `${kind}.${column}`, scores };
}

function settings(changes: Partial<GuidedSettings> = {}): GuidedSettings {
  const levels = { step: 0.5, attn: 0 };
  return { levels, warmup: 0, weights: new Array(STEPS).fill(1), ...changes };
}

function marks({ rows }: Pick<GuidedChoice, "rows">): readonly string[] {
  return rows.map(({ text }) => text);
}

const even = new Array<number>(STEPS).fill(1);
const model = [driftOf("step", 0, even), driftOf("attn", 0, even)];

Deno.test("guidedChoice() reuses the share of steps that the level says, evenly for even drift", () => {
  const { thresholds, ...choice } = guidedChoice(model, settings());
  assertEquals(marks(choice), [".", "r", ".", "r", ".", "r", "."]);
  assert(thresholds["step"]! > 1 && thresholds["step"]! <= 3); // 1 is reused, 1 + 2 is not
});

Deno.test("guidedChoice() reuses where the drift is small, and where the sampler moves little", () => {
  const slowEnd = [driftOf("step", 0, [1, 1, 1, 1, .1, .1, .1]), model[1]!];
  assertEquals(marks(guidedChoice(slowEnd, settings())), [".", ".", ".", ".", "r", "r", "r"]);
  const weights = [1, .1, .1, .1, 1, 1, 1];
  assertEquals(marks(guidedChoice(model, settings({ weights }))), [
    ".",
    "r",
    "r",
    "r",
    ".",
    ".",
    ".",
  ]);
});

Deno.test("guidedChoice() counts a module's error also in steps that are reused as a whole", () => {
  const levels = { step: 0.5, attn: 0.5 };
  const still = driftOf("attn", 1, new Array(STEPS).fill(0.01));
  const choice = guidedChoice([...model, still], settings({ levels }));
  assertEquals(marks(choice), ["..", "rr", ".r", "rr", ".r", "rr", ".r"]);
});

Deno.test("guidedChoice() with level 0 never reuses, with level 1 all but the protected", () => {
  const none = guidedChoice(model, settings({ levels: { step: 0, attn: 0 } }));
  assertEquals(marks(none), even.map(() => "."));
  const all = guidedChoice(model, settings({ levels: { step: 1, attn: 0 }, warmup: 0.5 }));
  assertEquals(marks(all), [".", ".", ".", "r", "r", "r", "r"]);
  const modules = guidedChoice(model, settings({ levels: { step: 0, attn: 1 } }));
  assertEquals(marks(modules), [".", "r", "r", "r", "r", "r", "r"]);
});

Deno.test("guidedChoice() of features that never change reuses nothing below level 1", () => {
  const still = new Array<number>(STEPS).fill(0);
  const unmoved = [driftOf("step", 0, still), driftOf("attn", 0, still)];
  assertEquals(marks(guidedChoice(unmoved, settings())), even.map(() => "."));
  const all = guidedChoice(unmoved, settings({ levels: { step: 1, attn: 0 } }));
  assertEquals(marks(all), [".", "r", "r", "r", "r", "r", "r"]);
});

Deno.test("guidedChoice() with a warm-up of all steps or one step reuses nothing", () => {
  const levels = { step: 1, attn: 1 };
  assertEquals(marks(guidedChoice(model, settings({ levels, warmup: 1 }))), even.map(() => "."));
  const single = [driftOf("step", 0, [1]), driftOf("attn", 0, [1])];
  assertEquals(marks(guidedChoice(single, settings({ levels, weights: [1] }))), ["."]);
});

Deno.test("guidedChoice() loads nothing older than the longest reuse, not even across whole steps", () => {
  const levels = { step: 1, attn: 1 };
  const capped = guidedChoice(model, settings({ levels, longest: 2 }));
  assertEquals(marks(capped), [".", "r", "r", ".", "r", "r", "."]);
  const half = guidedChoice(model, settings({ levels: { step: 0.5, attn: 1 }, longest: 2 }));
  assertEquals(marks(half), [".", "r", ".", "r", ".", "r", "r"]); // 2 is kept for 3, 4 for 5 and 6
});

Deno.test("guidedChoice() refuses a level that is absent or not in 0 … 1", () => {
  assertThrows(
    () => guidedChoice(model, settings({ levels: { step: 0.5 } })),
    RangeError,
    "level of attn must be 0 … 1: current value is undefined",
  );
  assertThrows(
    () => guidedChoice(model, settings({ levels: { step: NaN, attn: 0 } })),
    RangeError,
    "level of step must be 0 … 1: current value is NaN",
  );
});

Deno.test("predictionWeights() are how far a change of the prediction moves DDIM's latent", () => {
  const schedule = linearSchedule(50);
  const weights = predictionWeights(schedule);
  const step = 20;
  const [before, after] = [schedule.alphaBars[step]!, schedule.alphaBarsNext[step]!];
  const toStart = -Math.sqrt(1 / before - 1) * Math.sqrt(after); // x0 = √(1/ᾱ)·x − √(1/ᾱ − 1)·ε
  const moved = toStart + Math.sqrt(1 - after); // x′ = √ᾱ′·x0 + √(1 − ᾱ′)·ε
  assertAlmostEquals(weights[step]!, Math.abs(moved), 1e-12);
  assert(weights.every((weight) => weight > 0));
});

Deno.test("driftBetween() is relative to the current feature and finite for zeros", () => {
  assertEquals(driftBetween(Float32Array.of(2, -2), Float32Array.of(1, -1)), 0.5);
  assertEquals(driftBetween(Float32Array.of(0, 0), Float32Array.of(0, 0)), 0);
  assertEquals(driftBetween(Float32Array.of(0), Float32Array.of(1)), 1e8);
});

Deno.test("sampler() picks the same elements each time, all of them when there are few", () => {
  const sample = sampler(4);
  assertEquals(sample([Float32Array.of(3, 1, 2)]), Float32Array.of(3, 1, 2));
  const counted = Float32Array.from({ length: 100 }, (_, i) => i);
  const picked = sample([counted]);
  assertEquals(picked.length, 4);
  picked.forEach((at, part) => assert(at >= 25 * part && at < 25 * (part + 1)));
  assertEquals(sample([counted]), picked);
  assertEquals(sample([counted, counted]).length, 4); // both streams of a joint attention
});

Deno.test("drift on a sample is within 2 % of drift on all elements", () => {
  const features = [1, 2].map((seed) => normalNoise([2, 64, 384], seed).data);
  const moved = features[0]!.map((value, i) => value + 0.1 * features[1]![i]!);
  const sample = sampler(4096);
  const sampled = driftBetween(sample([moved]), sample([features[0]!]));
  assertAlmostEquals(sampled / driftBetween(moved, features[0]!), 1, 0.02);
});
