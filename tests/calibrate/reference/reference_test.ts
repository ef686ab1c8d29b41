import { assert, assertEquals, assertRejects } from "@std/assert";
import type { BackendName } from "../../../src/backend/backend.ts";
import type { CalibrationTask } from "../../../src/calibrate/task.ts";
import { provisionalChoice, type RatesByKind } from "../../../src/calibrate/reference/invardiff.ts";
import { recordReference, referencePlan } from "../../../src/calibrate/reference/reference.ts";
import { FASHION_DIT } from "../../fashion_dit.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import { PlanError } from "../../../src/errors.ts";
import { importCacheBook } from "../../../src/plan/cache_book/import.ts";
import { bindPlan } from "../../../src/plan/fit.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { linearSchedule } from "../../../src/sampler/noise_schedule.ts";
import { requires } from "../../_shim/requires.ts";
import { textsOf } from "../../plan/example_plans.ts";
import { type GoldenBook, type GoldenModel, readGoldenBook, readGoldenModel } from "../golden.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);
/** Two float32 implementations differ by 8e-5 in their outputs; rates are ratios of differences. */
const RATE_TOLERANCE = 3e-4;

const able: Readonly<Record<BackendName, { readonly ignore: boolean }>> = {
  wasm: { ignore: false },
  native: await requires("reference calibration on native", "native"),
  webgpu: await requires("reference plans on WebGPU", "webgpu"),
};

interface Golden {
  readonly model: "dit-a" | "fashion-dit";
  readonly books: readonly string[];
  /** Fashion-dit has 800 model runs in each calibration: minutes on wasm. */
  readonly recordOn: BackendName;
  /** Software WebGPU would need minutes for fashion-dit. */
  readonly sampleOn: readonly BackendName[];
}

const goldens: readonly Golden[] = [
  {
    model: "dit-a",
    books: ["dit-a-published", "dit-a-layers"],
    recordOn: "wasm",
    sampleOn: ["wasm", "native", "webgpu"],
  },
  {
    model: "fashion-dit",
    books: ["fashion-dit-fast", "fashion-dit-slow", "fashion-dit-layers"],
    recordOn: "native",
    sampleOn: ["wasm", "native"],
  },
];

for (const { model, books, recordOn, sampleOn } of goldens) {
  for (const name of books) {
    Deno.test({
      name: `reference calibration gives rates, masks, plan and latents of ${name} on ${recordOn}`,
      ...able[recordOn],
      fn: () =>
        withGolden(model, recordOn, (pipeline, golden) => checkRecord(pipeline, golden, name)),
    });
    for (const backend of sampleOn) {
      Deno.test({
        name: `the imported book ${name} gives its latents on ${backend}`,
        ...able[backend],
        fn: () =>
          withGolden(model, backend, async (pipeline, golden) => {
            const wanted = await readGoldenBook(name);
            const plan = await boundBook(pipeline, wanted, golden.steps);
            await assertLatents(pipeline, plan, { golden, wanted });
          }),
      });
    }
  }
}

Deno.test("our own plan gives the latents of dit-a-layers on every backend", async () => {
  const wanted = await readGoldenBook("dit-a-layers");
  const plan = await withGolden("dit-a", "wasm", async (pipeline, golden) => {
    const task = taskOf(pipeline, golden, wanted);
    return await referencePlan(task, await recordReference(task));
  });
  for (const backend of ["native", "webgpu"] as const) {
    if (able[backend].ignore) continue;
    await withGolden(
      "dit-a",
      backend,
      (pipeline, golden) => assertLatents(pipeline, plan, { golden, wanted }),
    );
  }
});

Deno.test("reference calibration of one to three steps and one run gives defined plans", async () => {
  await withGolden("dit-a", "wasm", async (pipeline, golden) => {
    for (const steps of [1, 2, 3]) {
      const task = { ...smallTask(pipeline, golden), steps, levels: { step: 1, attn: 1, mlp: 1 } };
      const plan = await referencePlan(task, await recordReference(task));
      assertEquals(plan.rows.length, steps);
      assertEquals(textsOf(plan)[0], ["......"]);
      assertEquals(textsOf(plan).at(-1), ["......"]); // the last step is never reused
    }
  });
});

Deno.test("reference calibration with levels 0 or a warm-up of all steps reuses nothing", async () => {
  await withGolden("dit-a", "wasm", async (pipeline, golden) => {
    const task = smallTask(pipeline, golden);
    for (const changes of [{ levels: { step: 0, attn: 0, mlp: 0 } }, { warmup: 1 }]) {
      const changed = { ...task, ...changes };
      const { rows } = await referencePlan(changed, await recordReference(changed));
      assert(rows.every(([row]) => row?.text === "......"));
    }
  });
});

Deno.test("reference calibration refuses noise that is not finite, and no conditions", async () => {
  await withGolden("dit-a", "wasm", async (pipeline, golden) => {
    const task = smallTask(pipeline, golden);
    const none = {
      labels: [],
      noise: { dims: [0, 4, 8, 8], data: new Float32Array(0) },
      seeds: [],
    };
    await assertRejects(
      () => recordReference({ ...task, conditions: none }),
      RangeError,
      "labels must be at least 1",
    );
    const { noise } = task.conditions;
    const huge = { ...noise, data: noise.data.map(() => 3e38) };
    await assertRejects(
      () => recordReference({ ...task, conditions: { ...task.conditions, noise: huge } }),
      PlanError,
      "feature of hidden at step 0 must be finite",
    );
  });
});

Deno.test("reference calibration stops when it is told to and leaves nothing behind", async () => {
  await withGolden("dit-a", "wasm", async (pipeline, golden) => {
    const interrupt = new AbortController();
    const { values } = pipeline.backend.live;
    const onProgress = (done: number, total: number): void => {
      assertEquals(total, 2 * 1 * 6);
      if (done === 3) interrupt.abort();
    };
    const task = { ...smallTask(pipeline, golden), signal: interrupt.signal, onProgress };
    await assertRejects(() => recordReference(task), DOMException, "abort");
    assertEquals(pipeline.backend.live.values, values);
  });
});

async function checkRecord(pipeline: Engine, golden: GoldenModel, name: string): Promise<void> {
  const wanted = await readGoldenBook(name);
  const task = taskOf(pipeline, golden, wanted);
  const found = await recordReference(task);
  const plan = await referencePlan(task, found);
  const unsure = (["phase1", "phase2"] as const).flatMap((phase) => {
    assertRates(found[phase], wanted[phase], `${name} ${phase}`);
    return differingCells(found[phase], wanted[phase], { wanted, what: `${name} ${phase}` });
  });
  for (const cell of unsure) console.log(cell);
  const imported = await boundBook(pipeline, wanted, golden.steps);
  if (unsure.length === 0) assertEquals(plan.rows, imported.rows);
  assertEquals(plan.fingerprints, imported.fingerprints);
  assertEquals(parsePlan(formatPlan(plan)), plan);
  await assertLatents(pipeline, plan, { golden, wanted });
}

function assertRates(found: RatesByKind, wanted: RatesByKind, what: string): void {
  assertEquals(Object.keys(found), Object.keys(wanted));
  forEachCell(wanted, (kind, t, column, rate) => {
    const error = Math.abs(found[kind]![t]![column]! / rate - 1);
    assert(
      error <= RATE_TOLERANCE,
      `${what}: ${kind}, step ${t}, column ${column} is off by ${error}`,
    );
  });
}

/** Cells of masks before coupling that differ; fails where the reference's rate decides clearly. */
function differingCells(
  found: RatesByKind,
  reference: RatesByKind,
  { wanted, what }: { readonly wanted: GoldenBook; readonly what: string },
): readonly string[] {
  const settings = {
    levels: wanted.facts.quantile,
    warmup: wanted.facts.nonskip_rate,
    variant: "dit", // protects the same rows in both phases, so its first phase leaves out coupling only
  } as const;
  const ours = provisionalChoice(found, settings);
  const theirs = provisionalChoice(reference, settings);
  const cells: string[] = [];
  forEachCell(reference, (kind, t, column, rate) => {
    if (ours.masks[kind]![t]![column] === theirs.masks[kind]![t]![column]) return;
    const distance = Math.abs(rate / theirs.thresholds[kind]! - 1);
    const cell = `${what}: ${kind}, step ${t}, column ${column} is ${distance} from its threshold`;
    assert(distance < RATE_TOLERANCE, cell);
    cells.push(cell);
  });
  return cells;
}

function forEachCell(
  rates: RatesByKind,
  visit: (kind: string, t: number, column: number, rate: number) => void,
): void {
  for (const [kind, table] of Object.entries(rates)) {
    table.forEach((row, t) => row.forEach((rate, column) => visit(kind, t, column, rate)));
  }
}

/** All pictures; on wasm, which is slow, the first two: pictures of a batch do not know each other. */
async function assertLatents(
  pipeline: Engine,
  plan: Plan,
  { golden, wanted }: { readonly golden: GoldenModel; readonly wanted: GoldenBook },
): Promise<void> {
  const { backend } = pipeline;
  const count = backend.name === "wasm" ? 2 : golden.labels.length;
  const size = golden.noise.data.length / golden.labels.length;
  const { latents } = await pipeline.generate({
    labels: golden.labels.slice(0, count),
    noise: {
      dims: [count, ...pipeline.model.latent],
      data: golden.noise.data.slice(0, count * size),
    },
    guidance: golden.guidance,
    plan,
  });
  const reference = wanted.cached.data;
  const largest = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = latents.data.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - reference[i]!)),
    0,
  );
  const tolerance = backend.name === "webgpu" ? 1e-2 : 5e-4; // WebGPU multiplies less precisely
  assert(error <= tolerance * largest, `latents are off by ${error / largest} of the largest`);
}

async function boundBook(pipeline: Engine, { book }: GoldenBook, steps: number): Promise<Plan> {
  const { times } = linearSchedule(steps);
  const plan = importCacheBook(book, { name: "ddim", times });
  return bindPlan(plan, await planTarget(pipeline.model, { times, guidance: 1 }));
}

function taskOf(
  pipeline: Engine,
  { steps, guidance, conditions }: GoldenModel,
  { facts }: GoldenBook,
): CalibrationTask {
  const { quantile: levels, nonskip_rate: warmup } = facts;
  return { pipeline, steps, guidance, conditions, levels, warmup };
}

/** One run of six steps. */
function smallTask(pipeline: Engine, { guidance, conditions }: GoldenModel): CalibrationTask {
  const { dims: [n = 0, ...rest], data } = conditions.noise;
  const noise = { dims: [1, ...rest], data: data.slice(0, data.length / n) };
  const one = { labels: conditions.labels.slice(0, 1), noise, seeds: [] };
  const levels = { step: 0.5, attn: 0.5, mlp: 0.5 };
  return { pipeline, steps: 6, guidance, conditions: one, levels, warmup: 0 };
}

async function withGolden<T>(
  model: Golden["model"],
  backend: BackendName,
  use: (pipeline: Engine, golden: GoldenModel) => Promise<T>,
): Promise<T> {
  const location = model === "dit-a" ? DIT_A : FASHION_DIT;
  const pipeline = await openEngine({ model: location, backend });
  try {
    return await use(pipeline, await readGoldenModel(model));
  } finally {
    await pipeline.close();
  }
}
