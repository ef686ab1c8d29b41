import { assertEquals, assertNotEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { engineOf } from "../../src/engine/engine.ts";
import { openPipeline } from "../../src/engine/open_pipeline.ts";
import type { Pipeline } from "../../src/engine/pipeline.ts";
import { PlanError } from "../../src/errors.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { evenRow, FORECAST_ROW } from "../../src/plan/row.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { FULL } from "./small_model.ts";

const MODEL = new URL("../golden/dit-a/", import.meta.url);

async function planFor(pipeline: Pipeline, changes: Partial<Omit<Plan, "rows">>): Promise<Plan> {
  const fingerprints = [await pipeline.model.fingerprint()];
  const plan = examplePlan([FULL, FULL, FULL], { version: 2, fingerprints });
  return { ...plan, sampler: { name: "ddim", times: [999, 499.5, 0.5] }, ...changes };
}

async function withPipeline(use: (pipeline: Pipeline) => Promise<void>): Promise<void> {
  const pipeline = await openPipeline({ model: MODEL, backend: "wasm" });
  try {
    await use(pipeline);
  } finally {
    await pipeline.close();
  }
}

Deno.test("a plan of version 2 brings its times, and weights that are those of its solver change nothing", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await planFor(pipeline, {});
    const request = { label: 1, seed: 3, output: "latents" as const };
    const times: number[] = [];
    const run = pipeline.steps({ ...request, plan });
    for await (const { time } of run) times.push(time);
    assertEquals(times, [999, 499.5, 0.5]);
    const solved = await pipeline.generate({ ...request, plan });
    assertEquals([solved.steps, solved.notices], [3, []]);
    const update = [null, null, null];
    const same = await pipeline.generate({
      ...request,
      plan: { ...plan, columns: { update } },
      steps: 3,
    });
    assertEquals(same.latents.data, solved.latents.data);
  });
});

Deno.test("a run follows a plan's weights: a latent that is only scaled needs no output", async () => {
  await withPipeline(async (pipeline) => {
    const scaled = [[0.5, 0], [0.5, 0], [2, 0]];
    const plan = await planFor(pipeline, { columns: { update: scaled } });
    const { latents } = await pipeline.generate({ seed: 3, label: 1, plan, output: "latents" });
    const first = await pipeline.generate({ seed: 3, label: 1, steps: 1, output: "latents" });
    assertEquals(latents.dims, first.latents.dims);
    const noise = await pipeline.generate({
      ...{ seed: 3, label: 1, output: "latents" },
      plan: { ...plan, columns: { update: [[1, 0], [1, 0], [0.5, 0]] } },
    });
    assertEquals(latents.data, noise.latents.data); // 0.5 × 0.5 × 2 = 1 × 1 × 0.5, exactly
  });
});

Deno.test("other steps, sigmas or another sampler beside a plan with times of its own are refused", async () => {
  await withPipeline(async (pipeline) => {
    const plan = await planFor(pipeline, {});
    const refusal = async (options: object): Promise<string> => {
      const given = { seed: 1, label: 1, plan, ...options };
      return (await assertRejects(() => pipeline.generate(given), PlanError)).message;
    };
    assertStringIncludes(
      await refusal({ steps: 50 }),
      "steps must be 3, for it has times of its own: current value is 50",
    );
    assertStringIncludes(await refusal({ sigmas: [1, 0.5, 0.2] }), "sigmas must not be given");
    const flow = { ...plan, sampler: { name: "flow-euler", times: [1, 0.5, 0.25] } };
    assertStringIncludes(await refusal({ plan: flow }), "sampler must be flow-euler");
    const modules = plan.modules.slice(2);
    const shorter = { ...plan, modules, rows: [1, 2, 3].map(() => [evenRow("run", 4)]) };
    assertStringIncludes(await refusal({ plan: shorter }), "count of modules must be 4");
  });
});

Deno.test("a forecast step runs and loads nothing, and tells its kind", async () => {
  await withPipeline(async (pipeline) => {
    const made = await planFor(pipeline, { columns: { forecast: [null, [0, 1], null] } });
    const plan = { ...made, rows: made.rows.with(1, [FORECAST_ROW]) };
    const request = { seed: 3, label: 1, output: "latents" as const };
    const { backend } = engineOf(pipeline);
    await pipeline.generate({ ...request, plan }); // sessions of its conditioning stay
    const before = backend.live;
    const kinds: string[] = [];
    for await (const { kind } of pipeline.steps({ ...request, plan })) kinds.push(kind);
    assertEquals(kinds, ["full", "forecast", "full"]);
    assertEquals(backend.live, before);
    const { latents } = await pipeline.generate({ ...request, plan });
    const halved = { ...plan, columns: { forecast: [null, [0, 0.5], null] } };
    const other = await pipeline.generate({ ...request, plan: halved });
    assertNotEquals(latents.data, other.latents.data);
  });
});
