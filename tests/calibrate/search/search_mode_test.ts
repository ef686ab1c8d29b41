import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { requestOf, seededConditions } from "../../../src/calibrate/task.ts";
import { expectedError } from "../../../src/calibrate/search/expected_error.ts";
import { measureRows } from "../../../src/calibrate/search/row_error.ts";
import { calibrateSearch, type SearchTask } from "../../../src/calibrate/search/search_mode.ts";
import { measureOn } from "../../../src/calibrate/search/search_trials.ts";
import { openTrials, type Trials } from "../../../src/calibrate/trials.ts";
import { modelCost } from "../../../src/engine/plan_facts.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import { compilePlan } from "../../../src/plan/compile.ts";
import { predictSpeedup } from "../../../src/plan/cost.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { rowsOf, textsOf } from "../../plan/example_plans.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);
const FULL = "......";
const REUSE = "rrrrrr";

async function withTask(use: (task: SearchTask) => Promise<void>): Promise<void> {
  const pipeline = await openEngine({ model: DIT_A, backend: "wasm" });
  try {
    const conditions = seededConditions(pipeline, { runs: 4, seed: 3 });
    await use({ pipeline, steps: 8, guidance: 4, conditions, speedup: 2, trials: 30 });
    assertEquals(pipeline.backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
}

function trialsOf(pipeline: Engine, task: SearchTask): Promise<Trials> {
  return openTrials({ pipeline, request: requestOf(task) });
}

function rms(a: Tensor, b: Tensor): number {
  return Math.sqrt(a.data.reduce((sum, x, i) => sum + (x - b.data[i]!) ** 2, 0) / a.data.length);
}

Deno.test("a search gives a bound plan within the budget that says what was tried, twice the same", async () => {
  await withTask(async (task) => {
    const { pipeline, speedup, trials } = task;
    const heard: number[] = [];
    const onProgress = (done: number, total: number): void => {
      assert(done <= total);
      heard.push(done);
    };
    const plan = await calibrateSearch({ ...task, onProgress });
    assertEquals(heard, heard.toSorted((a, b) => a - b));
    const cost = modelCost(pipeline.model.transformer);
    assert(predictSpeedup(compilePlan(plan), cost) >= speedup);
    assertEquals(parsePlan(formatPlan(plan)), plan);
    const { parameters } = plan.policy;
    const tried = ["shift", "state", "cells", "steps"].map((kind) =>
      Number(parameters[`tried.${kind}`])
    );
    assert(tried.every((count) => count > 0) && tried.reduce((a, b) => a + b) <= trials);
    assertEquals(typeof parameters["start"], "string");
    const asked = { plan, labels: [1], guidance: 4, output: "latents" } as const;
    const { notices } = await pipeline.generate(asked);
    assertEquals(notices, []);
    assertEquals(await calibrateSearch(task), plan);
  });
});

Deno.test("a search stops when told to, and refuses what it cannot reach", async () => {
  await withTask(async (task) => {
    const interrupt = new AbortController();
    const { signal } = interrupt;
    const onProgress = (done: number): void =>
      done === 2 * 8 + 3 * 8 ? interrupt.abort() : undefined;
    await assertRejects(() => calibrateSearch({ ...task, signal, onProgress }), DOMException);
    const conditions = seededConditions(task.pipeline, { runs: 1, seed: 3 });
    await assertRejects(
      () => calibrateSearch({ ...task, conditions }),
      RangeError,
      "runs must be at least 2",
    );
    for (const [steps, speedup] of [[1, 1.1], [3, 20]] as const) {
      await assertRejects(
        () => calibrateSearch({ ...task, steps, speedup }),
        RangeError,
        `no plan to begin with reaches the target speed-up of ${speedup}.`,
      );
    }
  });
});

Deno.test("a search of two and three steps gives plans that run", async () => {
  await withTask(async (task) => {
    for (const steps of [2, 3]) {
      const plan = await calibrateSearch({ ...task, steps, speedup: 1.3 });
      assertEquals(textsOf(plan)[0], [FULL]);
      await task.pipeline.generate({ plan, labels: [0] });
    }
  });
});

Deno.test("measureOn() reruns nothing before the first difference, to the same latents", async () => {
  await withTask(async (task) => {
    const trials = await trialsOf(task.pipeline, task);
    const known = rowsOf([FULL, "=", FULL, REUSE, "r.r.r.", "+", FULL, REUSE]);
    const rows = rowsOf([FULL, "=", FULL, REUSE, "r.r.r.", "=", FULL, REUSE]);
    const before = await measureOn(trials, known, undefined);
    const resumed = await measureOn(trials, rows, before);
    const anew = await measureOn(trials, rows, undefined);
    assertEquals(resumed, anew);
    assertEquals(resumed.trajectory[2], before.trajectory[2]); // the full step at 2 needs nothing kept
    assert(resumed.psnr !== before.psnr);
    assertEquals(await measureOn(trials, known, before), before);
  });
});

Deno.test("measureRows() gives the error that a row leaves, relative to reusing every feature", async () => {
  await withTask(async (task) => {
    const trials = await trialsOf(task.pipeline, task);
    const shares = await measureRows(trials, { age: 1 });
    assertEquals([shares.length, shares[0]!.size], [8, 0]);
    // DDIM is linear in the prediction: errors of the latents behind a step are as those of predictions.
    const errorOf = async (row: string): Promise<number> => {
      const rows = rowsOf(Array.from({ length: 8 }, () => FULL).with(3, row));
      const { trajectory } = await measureOn(trials, rows, undefined);
      return rms(trajectory[4]!.latent, trials.full[4]!.latent);
    };
    const whole = await errorOf(REUSE);
    for (const row of ["=", "+", "r.r.r.", "...rrr"]) {
      const share = await errorOf(row) / whole;
      assertAlmostEquals(shares[3]!.get(row)!, share, 1e-2 * share); // float32 latents, small errors
    }
  });
});

Deno.test("expectedError() adds errors of one run of reuse and squares those of several", () => {
  const final = [[0, 2, 3, 5], [0, 0, 1, 2], [0, 0, 0, 4], []];
  const errors = { final, longest: 3 };
  const none = [0, 1, 2, 3].map(() => new Map<string, number>());
  assertEquals(expectedError(rowsOf(["..", "rr", "rr", "rr"]), errors, none), (2 + 3 + 5) ** 2);
  assertEquals(expectedError(rowsOf(["..", "rr", "..", "rr"]), errors, none), 2 ** 2 + 4 ** 2);
  assertEquals(expectedError(rowsOf(["..", "..", "..", ".."]), errors, none), 0);
  const shares = [new Map(), new Map([["=", 0.5]]), new Map([["r.", 0.25]]), new Map()];
  // A quarter of the older features' error stays after step 2, in it and in what it keeps.
  const mixed = 0.25 * 3 + (0.25 * 5 + 0.75 * 4);
  assertEquals(expectedError(rowsOf(["..", "=", "r.", "rr"]), errors, shares), 1 + mixed ** 2);
  const short = { final: [[0, 2], [0, 0, 3], [0, 0, 0, 1], []], longest: 1 };
  assertEquals(expectedError(rowsOf(["..", "rr", "rr", ".."]), short, none), (2 + 2 * 3) ** 2);
});
