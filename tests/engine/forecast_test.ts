import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { Value } from "../../src/backend/backend.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { Executor } from "../../src/engine/executor.ts";
import type { FeatureCache } from "../../src/engine/feature_cache.ts";
import { type Run, runSteps } from "../../src/engine/run.ts";
import { PlanError } from "../../src/errors.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import { renderSvg } from "../../src/plan/render/svg.ts";
import { renderText } from "../../src/plan/render/text.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { FULL, interfere, openSmallModel, runOf } from "./small_model.ts";

const FORECAST = [0, 2, 5];

for (const weights of ["initializers", "inputs"] as const) {
  Deno.test(`a forecast is twice the last feature less the one before, with weights as ${weights}`, async () => {
    const model = await openSmallModel();
    const backend = await openWasm();
    const { transformer } = model;
    const executor = new Executor(interfere(backend, { weights }), transformer, model.weights);
    const names = FORECAST.map((m) => `joint ${transformer.modules[m]!.name}`);
    const download = (features: FeatureCache): Promise<Tensor[]> =>
      Promise.all(names.map((name) => executor.backend.download(kept(features, name))));
    try {
      const found = await latentsOf(await runOf(model, executor, [FULL, FULL, "x.xr.x"]));

      const run = await runOf(model, executor, [FULL, FULL, "r.rr.r"]);
      const storing = run.steps.map((step, index) =>
        step.kind === "full" && index === 0
          ? { ...step, actions: step.actions.map(({ kind }) => ({ kind, keep: 1 })) }
          : step
      );
      const made: Tensor[][] = [];
      const byHand = await latentsOf({ ...run, steps: storing }, async (features) => {
        made.push(await download(features));
        const [before, last] = made;
        for (const [i, name] of last === undefined ? [] : names.entries()) {
          const { dims, data } = last![i]!;
          const forecast = data.map((value, at) => 2 * value - before![i]!.data[at]!);
          features.store(name, [executor.backend.upload({ dims, data: forecast })]);
        }
      });
      assertEquals(found, byHand);
      assertNotEquals(found, await latentsOf(await runOf(model, executor, [FULL, FULL, "r.rr.r"])));
      await executor.dispose();
      assertEquals(backend.live, { values: 0, sessions: 0 });
    } finally {
      await backend.dispose();
      await model.close();
    }
  });
}

Deno.test("a plan of forecasts is read, written and drawn, and refused where it has no two features", () => {
  const plan = examplePlan(["..", "..", "x.", "rx"]);
  assertEquals(parsePlan(formatPlan(plan)), plan);
  assertEquals(renderText(plan).split("\n").slice(2, 4), [
    "blocks.0.attn ██×·",
    " blocks.0.mlp ███×",
  ]);
  assertEquals(renderSvg(plan).match(/class="forecast" d="M/g)?.length, 1);
  assertThrows(
    () => parsePlan(formatPlan(examplePlan(["..", ".x", ".."]))),
    PlanError,
    "step 1 (slot joint), module blocks.0.mlp must be computed, for only 1 of what it loads is stored",
  );
});

/** Final latents; `between` hears of what is kept after the first two steps. */
async function latentsOf(
  run: Run,
  between: (features: FeatureCache) => Promise<void> = () => Promise.resolve(),
): Promise<Tensor> {
  const loop = runSteps(run);
  for (let step = 0;; step++) {
    const next = await loop.next();
    if (next.done === true) return next.value.latents;
    if (step < 2) await between(run.features);
  }
}

function kept(features: FeatureCache, name: string): Value {
  const taken = features.take(name);
  features.store(name, taken);
  return taken[0]!;
}
