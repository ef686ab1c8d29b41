import { assert, assertEquals, assertRejects } from "@std/assert";
import type { BackendName } from "../../../src/backend/backend.ts";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../../src/assets/source.ts";
import { calibrateGuided } from "../../../src/calibrate/guided/guided.ts";
import {
  type CalibrationTask,
  requestOf,
  type RunConditions,
  sliceConditions,
} from "../../../src/calibrate/task.ts";
import type { RatesByKind, ReuseChoice } from "../../../src/calibrate/reference/invardiff.ts";
import { recordReference, referencePlan } from "../../../src/calibrate/reference/reference.ts";
import { calibrateSearch } from "../../../src/calibrate/search/search_mode.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import type { Mask } from "../../../src/plan/cache_book/layout.ts";
import { importCacheBook } from "../../../src/plan/cache_book/import.ts";
import { exportCacheBook } from "../../../src/plan/cache_book/export.ts";
import { bindPlan } from "../../../src/plan/fit.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { sliceRows } from "../../../src/tensor/rows.ts";
import { requires } from "../../_shim/requires.ts";
import { assertClose } from "../../conformance/compare.ts";
import { textsOf } from "../../plan/example_plans.ts";
import { type GoldenBook, readGoldenBook } from "../golden.ts";

const FLUX_A = new URL("../../golden/flux-a/", import.meta.url);
const KINDS = [
  ...["step", "attn", "context_attn", "ff", "context_ff", "single_attn", "single_mlp"],
];
/** Two float32 implementations differ by 3e-6 in their outputs; rates are ratios of differences. */
const RATE_TOLERANCE = 3e-4;
const LATENT_TOLERANCE = 1e-3;

for (const backend of ["wasm", "native"] as const) {
  const options = await requires(
    `FLUX calibration on ${backend}`,
    ...(backend === "wasm" ? [] : [backend]),
  );
  for (const name of ["flux-a-published", "flux-a-layers"]) {
    Deno.test(
      `reference calibration gives rates, masks, plan and latents of ${name} on ${backend}`,
      options,
      () => withPipeline(backend, (pipeline, conditions) => checkBook(pipeline, conditions, name)),
    );
  }
}

Deno.test("reference calibration of FLUX holds one session of a module's weights at a time", async () => {
  await withPipeline("wasm", async (pipeline, conditions) => {
    const { sessions } = pipeline.backend.live;
    const task = { ...smallTask(pipeline, conditions), levels: levelsOf(0.5) };
    await recordReference(task);
    const { conditioning: { groups } } = pipeline.model.transformer;
    const live = { sessions: sessions + groups.length + 2, values: 0 }; // and those of time and text, of a run
    assertEquals(pipeline.backend.live, live);
    const { noise, labels, given } = sliceConditions(conditions, 0, 1);
    await pipeline.generate({ ...given, noise, labels, steps: 2 });
    assertEquals(pipeline.backend.live, live);
  });
});

Deno.test("guided and search calibrate FLUX on features as they are kept, its sampler's weights apart", async () => {
  await withPipeline("wasm", async (pipeline, conditions) => {
    const task = { ...smallTask(pipeline, conditions), levels: levelsOf(0.4) };
    assertEquals(requestOf(task).sampler.weights.length, 6);
    const guided = await calibrateGuided(task);
    assertEquals(guided.sampler.name, "flow-euler");
    assertEquals(guided.context, { guidance: 3.5, tokenGrid: [6, 4], precision: "float32" });
    const reused = textsOf(guided).join("").split("").filter((mark) => mark === "r").length;
    assert(reused > 0);
    const found = await calibrateSearch({
      ...task,
      conditions: sliceConditions(conditions, 0, 2),
      speedup: 1.5,
      trials: 3,
    });
    for (const plan of [guided, found]) {
      assertEquals(parsePlan(formatPlan(plan)), plan);
      const { noise, labels, given } = sliceConditions(conditions, 0, 1);
      const asked = { ...given, noise, labels, plan, output: "latents" } as const;
      const { latents, notices } = await pipeline.generate(asked);
      assertEquals(notices, []);
      assert(latents.data.every(Number.isFinite));
    }
  });
});

Deno.test("reference calibration of FLUX has no level for context_attn of its own, and needs the others", async () => {
  await withPipeline("wasm", async (pipeline, conditions) => {
    const { single_mlp: _, ...levels } = levelsOf(0.5);
    await assertRejects(
      () => recordReference({ ...smallTask(pipeline, conditions), levels }),
      RangeError,
      "level of single_mlp must be 0 … 1: current value is undefined",
    );
  });
});

async function checkBook(pipeline: Engine, conditions: RunConditions, name: string): Promise<void> {
  const wanted = await readGoldenBook(name, KINDS);
  const { quantile: levels, nonskip_rate: warmup } = wanted.facts;
  const task: CalibrationTask = { pipeline, steps: 28, guidance: 3.5, conditions, levels, warmup };
  const found = await recordReference(task);
  assertRates(found.phase1, wanted.phase1);
  assertRates(found.phase2, wanted.phase2);
  assertThresholds(found.provisional, "phase1", wanted);
  assertThresholds(found.final, "phase2", wanted);
  const plan = await referencePlan(task, found);
  const imported = await boundBook(task, wanted);
  assertEquals(plan.rows, imported.rows);
  assertEquals(found.final.masks["context_attn"], bookMask(wanted, "context_attn"));
  assertEquals(importCacheBook(exportCacheBook(plan), plan.sampler).rows, plan.rows);
  const { given } = conditions;
  const noise = sliceRows(conditions.noise, 0, 2);
  for (const each of [plan, imported]) {
    const { latents } = await pipeline.generate({ ...given, noise, labels: [0, 1], plan: each });
    assertClose(latents, wanted.cached, { tolerance: LATENT_TOLERANCE, what: `${name} latents` });
  }
}

function assertRates(found: RatesByKind, wanted: RatesByKind): void {
  let worst = 0;
  for (const [kind, table] of Object.entries(wanted)) {
    table.forEach((row, t) =>
      row.forEach((rate, column) => {
        const error = Math.abs(found[kind]![t]![column]! / rate - 1);
        worst = Math.max(worst, error);
        assert(error <= RATE_TOLERANCE, `${kind}, step ${t}, column ${column} is off by ${error}`);
      })
    );
  }
  console.log(`worst relative rate ${worst.toExponential(1)}`);
}

function assertThresholds(choice: ReuseChoice, phase: string, { facts }: GoldenBook): void {
  for (const [name, wanted] of Object.entries(facts.threshold)) {
    if (!name.startsWith(phase)) continue;
    const found = choice.thresholds[name.slice(phase.length + 1)]!;
    assert(Math.abs(found / wanted - 1) <= RATE_TOLERANCE, `${name}: ${found} is not ${wanted}`);
  }
}

function bookMask({ book }: GoldenBook, kind: string): Mask {
  const masks = book["transformer_cache_book"] as Record<string, Mask>; // as the layout says
  return masks[kind]!;
}

async function boundBook(task: CalibrationTask, { book }: GoldenBook): Promise<Plan> {
  const { times } = requestOf(task).sampler;
  const { model } = task.pipeline;
  const plan = importCacheBook(book, { name: model.sampler.name, times });
  return bindPlan(plan, await planTarget(model, { times, guidance: 3.5 }));
}

/** One run of six steps. */
function smallTask(pipeline: Engine, conditions: RunConditions): CalibrationTask {
  const one = sliceConditions(conditions, 0, 1);
  return { pipeline, steps: 6, guidance: 3.5, conditions: one, levels: {}, warmup: 0 };
}

function levelsOf(level: number): Record<string, number> {
  const kinds = KINDS.filter((kind) => kind !== "context_attn");
  return Object.fromEntries(kinds.map((kind) => [kind, level]));
}

async function withPipeline(
  backend: BackendName,
  use: (pipeline: Engine, conditions: RunConditions) => Promise<void>,
): Promise<void> {
  const source = openDirectory(FLUX_A);
  const pipeline = await openEngine({ model: FLUX_A, backend });
  try {
    const file = await openSafetensors(source, "golden.safetensors");
    const given = {
      text: await file.readFloat32("text"),
      pooled: await file.readFloat32("pooled"),
      imageIds: await file.readFloat32("image_ids"),
    };
    const noise = await file.readFloat32("noise");
    await use(pipeline, { labels: [0, 1, 2], noise, seeds: [], given });
  } finally {
    await pipeline.close();
    await source.close();
  }
}
