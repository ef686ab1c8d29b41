import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Course, follow, type Runner } from "../../../src/calibrate/fit/course.ts";
import { directionsOf, improved, runsAround } from "../../../src/calibrate/fit/refinement.ts";
import { fitRollout, type Rollout } from "../../../src/calibrate/fit/rollout.ts";
import { recordTrajectory } from "../../../src/calibrate/fit/trajectory.ts";
import { makeSampler } from "../../../src/sampler/solvers.ts";
import { RUNS, toyEnsemble } from "./toy_ensemble.ts";

const nodes = Array.from({ length: 60 }, (_, i) => 999 - 16 * i);
const dense = makeSampler({ name: "dpmpp-3m" }, { steps: nodes.length, times: nodes, tokens: 0 });
const truth = await recordTrajectory(toyEnsemble(), dense);
const wanted = truth.latents.at(-1)!;

/** What is fitted step by step, and what ran it. */
async function fittedCourse(
  visited: readonly number[],
  calls: number[] = [],
): Promise<{ course: Course; runner: Runner; rollout: Rollout }> {
  const ensemble = toyEnsemble(calls);
  const rollout = await fitRollout({ ensemble, truth, fitted: wanted.length }, {
    ...{ visited, ridge: 1e-8 },
  });
  const course = { times: visited.map((node) => nodes[node]!), update: rollout.update };
  const runner: Runner = { ensemble, timeOf: (time) => time };
  return { course, runner, rollout };
}

function error(latents: Float32Array): number {
  return Math.sqrt(latents.reduce((sum, x, i) => sum + (x - wanted[i]!) ** 2, 0) / latents.length);
}

Deno.test("follow() ends where the fit ended, and goes on from what was passed without calling the model again", async () => {
  const calls: number[] = [];
  const { course, runner, rollout } = await fittedCourse([0, 20, 40], calls);
  calls.length = 0;
  const { latents, outputs } = await follow(runner, course);
  assertEquals(calls, course.times);
  assertEquals(latents.at(-1), rollout.latents.at(-1));
  calls.length = 0;
  const begun = { latents: latents.slice(0, 2), outputs: outputs.slice(0, 1) };
  assertEquals(await follow(runner, course, begun), { latents, outputs });
  assertEquals(calls, course.times.slice(1));
});

Deno.test("a course of few steps ends nearer when all of its weights and times are refined together", async () => {
  const { course, runner } = await fittedCourse([0, 9, 18, 27, 30, 33, 54]); // placed badly
  let best = course;
  for (let turn = 0; turn < 3; turn++) {
    const passed = await follow(runner, best);
    const directions = await directionsOf(runner, best, passed);
    const found = passed.latents.at(-1)!;
    best = improved(best, directions, { found, wanted, runs: RUNS, ridge: 1e-3 }) ?? best;
  }
  const ends = async (each: Course): Promise<number> =>
    error((await follow(runner, each)).latents.at(-1)!);
  const [before, after] = [await ends(course), await ends(best)];
  assert(after < 0.97 * before, `${before} became ${after}`);
  assert(best.times.some((time, i) => time !== course.times[i]));
  assertEquals(best.times[0], course.times[0], "noise has no other time");
});

Deno.test("directions are as many as weights and times, and are what a nudge really moves", async () => {
  const calls: number[] = [];
  const { course, runner } = await fittedCourse([0, 15, 30, 45], calls);
  const passed = await follow(runner, course);
  const finished = passed.latents.at(-1)!;
  calls.length = 0;
  const directions = await directionsOf(runner, course, passed);
  assertEquals(directions.length, 2 + 3 + 4 + 5 + 3);
  assertEquals(runsAround(course), directions.length - 5, "the last weights need no run");
  for (const { moved, apply } of directions) {
    const { latents } = await follow(runner, apply(course, 1));
    const off = moved.map((value, i) => value - (latents.at(-1)![i]! - finished[i]!));
    const rounding = 1e-4; // of latents up to some hundreds
    assert(off.every((value) => Math.abs(value) < rounding));
  }
});

Deno.test("a course whose times would no longer fall is none", async () => {
  const { course } = await fittedCourse([0, 20, 40]);
  fc.assert(fc.property(fc.integer({ min: -2000, max: 2000 }), (by) => {
    const moved = new Float32Array(RUNS).fill(1);
    const direction = {
      moved,
      apply: (each: Course, nudges: number) => ({
        ...each,
        times: each.times.with(1, each.times[1]! + 1000 * nudges),
      }),
    };
    const found = new Float32Array(RUNS);
    const aim = found.map(() => by / 1000);
    const better = improved(course, [direction], { found, wanted: aim, runs: RUNS, ridge: 0 });
    const time = course.times[1]! + 1000 * aim[0]!;
    const falls = time < course.times[0]! && time > course.times[2]!;
    assertEquals(better !== undefined, falls);
  }));
});
