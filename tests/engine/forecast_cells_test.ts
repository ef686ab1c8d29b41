import { assertEquals, assertNotEquals } from "@std/assert";
import type { Value } from "../../src/backend/backend.ts";
import { openNative } from "../../src/backend/native.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { Executor } from "../../src/engine/executor.ts";
import type { FeatureCache } from "../../src/engine/feature_cache.ts";
import { type Run, runSteps } from "../../src/engine/run.ts";
import type { PlanColumns } from "../../src/plan/columns.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { FULL, interfere, openSmallModel, runOf } from "./small_model.ts";

/** Modules whose features are forecast at the third step, and their weights: a sum of two is rounded once. */
const FORECAST = [
  { module: 0, weights: [2, -1] },
  { module: 2, weights: [0.5] },
  { module: 5, weights: [-0.25, 1] },
] as const;
const ROW = "x.xr.x";
const COLUMNS: PlanColumns = { features: [null, null, FORECAST.map(({ weights }) => weights)] };

const BACKENDS = [
  ["initializers", openWasm],
  ["inputs", openWasm],
  ["initializers", openNative],
] as const;

for (const [weights, open] of BACKENDS) {
  Deno.test(`a forecast cell weighs what its module made, by ${open.name} with weights as ${weights}`, async () => {
    const model = await openSmallModel();
    const backend = await open();
    const { transformer } = model;
    const executor = new Executor(interfere(backend, { weights }), transformer, model.weights);
    const nameOf = (module: number): string => `joint ${transformer.modules[module]!.name}`;
    try {
      const found = await latentsOf(await runOf(model, executor, [FULL, FULL, ROW], COLUMNS));

      const run = await runOf(model, executor, [FULL, FULL, "r.rr.r"]);
      const storing = run.steps.map((step, index) =>
        step.kind === "full" && index === 0
          ? { ...step, actions: step.actions.map(({ kind }) => ({ kind, keep: 1 })) }
          : step
      );
      const made: Tensor[][] = [];
      const byHand = await latentsOf({ ...run, steps: storing }, async (features) => {
        made.unshift(
          await Promise.all(
            FORECAST.map(({ module }) => executor.backend.download(kept(features, nameOf(module)))),
          ),
        );
        if (made.length < 2) return;
        for (const [i, { module, weights }] of FORECAST.entries()) {
          const { dims, data } = made[0]![i]!;
          const sum = data.map((_, at) =>
            weights.reduce((all, weight, age) => all + weight * made[age]![i]!.data[at]!, 0)
          );
          features.store(nameOf(module), [executor.backend.upload({ dims, data: sum })]);
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

Deno.test("a forecast that weighs the last feature with 1 has the bits of its reuse, and other weights need no other graph", async () => {
  const model = await openSmallModel();
  const backend = await openWasm();
  const loaded: string[] = [];
  const watched = interfere(backend, { onLoad: (name) => void loaded.push(name) });
  const executor = new Executor(watched, model.transformer, model.weights);
  try {
    const rows = (
      cell: string,
    ): string[] => [FULL, FULL, ...new Array(22).fill(`..${cell}${cell}..`)];
    const columns = (weights: (step: number) => readonly number[]): PlanColumns => ({
      features: rows("x").map((_, step) => step < 2 ? null : [weights(step)]),
    });
    const reused = await latentsOf(await runOf(model, executor, rows("r")));
    assertEquals(
      await latentsOf(await runOf(model, executor, rows("x"), columns(() => [1]))),
      reused,
    );
    const before = loaded.length;
    const varied = columns((step) => [1 + step / 8, -step / 8]);
    assertNotEquals(await latentsOf(await runOf(model, executor, rows("x"), varied)), reused);
    assertEquals(loaded.slice(before).filter((name) => /^\d/.test(name)), ["2x2 3x2"]); // weights are no part of a graph
    await executor.dispose();
  } finally {
    await backend.dispose();
    await model.close();
  }
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

/** The latest feature of a name, which the cache goes on owning. */
function kept(features: FeatureCache, name: string): Value {
  const taken = features.take(name);
  features.store(name, taken);
  return taken[0]!;
}
