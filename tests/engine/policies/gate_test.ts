/** Runs that a policy decides, on a small DiT and a small FLUX. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openPipeline, type Pipeline } from "../../../mod.ts";
import { engineOf } from "../../../src/engine/engine.ts";
import { expectGate } from "../../../src/engine/policies/gate.ts";
import { RUN_TIME_POLICIES } from "../../../src/engine/policies/table.ts";
import type { Generated } from "../../../src/engine/generated.ts";
import type { GenerateOptions } from "../../../src/engine/request.ts";
import { BackendError, PlanError } from "../../../src/errors.ts";
import { forecastPlan } from "../../../src/calibrate/policies/forecast_plan.ts";
import { scheduleOf } from "../../../src/calibrate/policies/schedule.ts";
import type { StepKind } from "../../../src/plan/compile.ts";
import { makePlan } from "../../../src/plan/fit.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import { evenRow, STATE_ROWS } from "../../../src/plan/row.ts";
import { tinyModel } from "../../server/tiny_model.ts";
import { openSmallFlux } from "../../calibrate/policies/small_flux.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);
const STEPS = 8;

/** A model and a request to it. */
interface Subject {
  readonly pipeline: Pipeline;
  readonly asked: GenerateOptions;
}

async function openDit(backend: "wasm" | "native"): Promise<Subject> {
  const pipeline = await openPipeline({ model: DIT_A, backend });
  return { pipeline, asked: { labels: [1, 4], seeds: [5, 6], steps: STEPS, output: "latents" } };
}

async function openFlux(): Promise<Subject> {
  const { pipeline, conditions: { labels, noise, given } } = await openSmallFlux();
  return { pipeline, asked: { labels, noise, ...given, steps: STEPS, output: "latents" } };
}

const SUBJECTS: Readonly<Record<string, () => Promise<Subject>>> = {
  "dit-a on wasm": () => openDit("wasm"),
  "flux-a on wasm": openFlux,
  "dit-a on native": () => openDit("native"),
};
/** What SenCache is given of a model whose output changes by 1 with the latent, and not with the time. */
const MEASURED = "at.0=1,latent.0=1,time.0=0";
/** Settings under which nothing is reused. */
const OFF = [
  "first-block:threshold=0",
  "teacache:threshold=0,c4=0,c3=0,c2=0,c1=0,c0=0",
  `sencache:threshold=0,start=0,${MEASURED}`,
  `sencache:longest=0,${MEASURED}`,
];

Deno.test("every policy can be turned off", () => {
  const names = new Set(OFF.map((word) => word.split(":")[0]));
  assertEquals([...names], Object.keys(RUN_TIME_POLICIES));
});

for (const [name, open] of Object.entries(SUBJECTS)) {
  Deno.test(`with reuse turned off a policy gives the bits of the run in full: ${name}`, async () => {
    const { pipeline, asked } = await open();
    try {
      const full = await pipeline.generate({ ...asked, plan: "none" });
      for (const policy of OFF) {
        const { latents, kinds, policy: decided, plan } = await pipeline.generate({
          ...asked,
          policy,
        });
        assertEquals(latents, full.latents);
        assertEquals(kinds, Array.from({ length: STEPS }, () => "full"));
        assertEquals([decided?.word, decided?.reused.every((count) => count === 0), plan], [
          policy,
          true,
          undefined,
        ]);
      }
      assertEquals(engineOf(pipeline).backend.live.values, 0);
    } finally {
      await pipeline.close();
    }
  });

  Deno.test(`what reuses every step between the first and the last has the bits of such a plan: ${name}`, async () => {
    const { pipeline, asked } = await open();
    try {
      const { model } = engineOf(pipeline);
      const policy = "teacache:threshold=1e9";
      const { latents, kinds, policy: decided } = await pipeline.generate({ ...asked, policy });
      const inner = Array.from({ length: STEPS - 2 }, () => "reuse" as const);
      assertEquals(kinds, ["full", ...inner, "full"]);
      assert(decided!.reused.every((count) => count === STEPS - 2));
      const { sampler, scene } =
        (await engineOf(pipeline).prepare({ ...asked, plan: "none" })).request;
      const { guidance } = model.sampler;
      const target = await planTarget(model, {
        times: sampler.times,
        guidance,
        tokenGrid: scene.tokenGrid,
      });
      const full = evenRow("run", target.modules.length);
      const rows = kinds.map((kind) => kind === "full" ? full : STATE_ROWS.residual);
      const plan = makePlan(target, rows, { policy: { name: "hand", parameters: {} } });
      assertEquals((await pipeline.generate({ ...asked, plan })).latents, latents);
    } finally {
      await pipeline.close();
    }
  });
}

for (const [name, open] of Object.entries(SUBJECTS)) {
  Deno.test(`sencache that reuses all it may does what a plan does that takes outputs again: ${name}`, async () => {
    const { pipeline, asked } = await open();
    try {
      const policy = `sencache:threshold=1e9,start=1e9,longest=2,${MEASURED}`;
      const { latents, kinds, policy: decided } = await pipeline.generate({ ...asked, policy });
      const wanted = Array.from({ length: STEPS }, (_, i) => i % 3 === 0 ? "full" : "forecast");
      assertEquals<readonly string[]>(kinds, wanted);
      assert(decided!.reused.every((count) => count === 5));
      const planned = await forecastingPlan(pipeline, asked, kinds);
      // The plan's solver weighs the output by one rounded product, the solver itself by two.
      const most = latents.data.reduce((all, value) => Math.max(all, Math.abs(value)), 0);
      const apart = latents.data.reduce(
        (all, value, i) => Math.max(all, Math.abs(value - planned.latents.data[i]!)),
        0,
      );
      assert(apart <= 2e-6 * most, `${apart} of ${most}`);
      assertEquals(engineOf(pipeline).backend.live.values, 0);
    } finally {
      await pipeline.close();
    }
  });
}

/** A run whose forecast steps take the last output again, by a plan. */
async function forecastingPlan(
  pipeline: Pipeline,
  asked: GenerateOptions,
  kinds: readonly StepKind[],
): Promise<Generated> {
  const { model } = engineOf(pipeline);
  const { request: { sampler: { times }, scene } } = await engineOf(pipeline)
    .prepare({ ...asked, plan: "none" });
  const { guidance } = model.sampler;
  const target = await planTarget(model, { times, guidance, tokenGrid: scene.tokenGrid });
  const computed = kinds.map((kind) => kind === "full");
  const { rows, own } = forecastPlan(computed, () => [1], {
    schedule: scheduleOf(model.sampler, { steps: STEPS, tokens: scene.tokens }),
    modules: target.modules.length,
  });
  const plan = makePlan(target, rows, { policy: { name: "hand", parameters: {} }, own });
  return await pipeline.generate({ ...asked, plan });
}

Deno.test("pictures of one request are decided each alone, and say how much they reused", async () => {
  const { pipeline, asked } = await openDit("wasm");
  try {
    const policy = "first-block:threshold=1";
    const both = await pipeline.generate({ ...asked, policy });
    const [first, second] = [
      await pipeline.generate({ ...asked, labels: [1], seeds: [5], policy }),
      await pipeline.generate({ ...asked, labels: [4], seeds: [6], policy }),
    ];
    const joined = Float32Array.of(...first.latents.data, ...second.latents.data);
    assertEquals(both.latents.data, joined);
    const reused = [...first.policy!.reused, ...second.policy!.reused];
    assertEquals(both.policy?.reused, reused);
    assert(reused.some((count) => count > 0 && count < STEPS), `${reused}`);
    assertEquals(first.kinds.filter((kind) => kind === "mixed").length, reused[0]);
  } finally {
    await pipeline.close();
  }
});

for (const policy of ["first-block:threshold=1", `sencache:threshold=1,start=1,${MEASURED}`]) {
  const [name] = policy.split(":");
  Deno.test(`a run that is cancelled leaves nothing to the next one: ${name}`, () =>
    cancel(policy));
}

async function cancel(policy: string): Promise<void> {
  const { pipeline, asked } = await openDit("wasm");
  try {
    const request = { ...asked, policy };
    const whole = await pipeline.generate(request);
    for await (const { index, kind } of pipeline.steps(request)) {
      assert(kind === "full" || kind === "mixed" || kind === "forecast");
      if (index === 3) break;
    }
    assertEquals(engineOf(pipeline).backend.live.values, 0);
    const stop = new AbortController();
    await assertRejects(async () => {
      for await (const { index } of pipeline.steps({ ...request, signal: stop.signal })) {
        if (index === 2) stop.abort();
      }
    });
    assertEquals(engineOf(pipeline).backend.live.values, 0);
    assertEquals((await pipeline.generate(request)).latents, whole.latents);
  } finally {
    await pipeline.close();
  }
}

Deno.test("first-block is refused on a model of one block, of which nothing would be reused", async () => {
  const pipeline = await openPipeline({ model: await tinyModel(), backend: "wasm" });
  try {
    const asked = { label: 1, steps: 3, output: "latents" } as const;
    await assertRejects(
      () => pipeline.generate({ ...asked, policy: "first-block:threshold=1" }),
      PlanError,
      "policy must be one of teacache, sencache for",
    );
    const { policy } = await pipeline.generate({ ...asked, policy: "teacache:threshold=1e9" });
    assertEquals(policy?.reused, [1]);
    assertEquals(engineOf(pipeline).backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
});

Deno.test("a policy is refused beside a plan, where none is of that name, and on a GPU, by name", async () => {
  const { pipeline, asked } = await openDit("wasm");
  try {
    const policy = "first-block";
    const plan = () => pipeline.generate({ ...asked, policy, plan: "fashion-dit.3x" });
    await assertRejects(
      plan,
      PlanError,
      "plan must be none beside policy first-block: current value is fashion-dit.3x",
    );
    const unknown = () => pipeline.generate({ ...asked, policy: "second-block" });
    await assertRejects(
      unknown,
      TypeError,
      "policy must be one of first-block, teacache, sencache",
    );
    assertEquals((await pipeline.generate({ ...asked, policy, plan: "auto" })).plan, undefined);
  } finally {
    await pipeline.close();
  }
  const gpu = { gpu: {}, name: "webgpu" } as never; // all that is asked of it
  assertThrows(
    () => expectGate({ policy: "teacache" }, gpu),
    BackendError,
    "policy must be none on webgpu",
  );
  expectGate({}, gpu);
});
