import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Backend, Value } from "../../src/backend/backend.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { Executor } from "../../src/engine/executor.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { featureSizes, planTarget } from "../../src/engine/plan_facts.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { runSteps } from "../../src/engine/run.ts";
import type { Model } from "../../src/model/model.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { peakLiveBytes } from "../../src/plan/cost.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { makePlan } from "../../src/plan/fit.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { evenRow, moduleRow, STATE_ROWS } from "../../src/plan/row.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";
import { type NumberedRows, PLAIN_CELLS, runnable, withNumbersOf } from "../plan/example_plans.ts";
import { openSmallModel } from "./small_model.ts";

/** Any rows that parse, of six modules. */
const anyRows = fc.array(
  fc.oneof(
    fc.constantFrom(...Object.values(STATE_ROWS), evenRow("reuse", 6)),
    fc.array(fc.constantFrom(...PLAIN_CELLS), { minLength: 6, maxLength: 6 }).map(moduleRow),
  ),
  { minLength: 1, maxLength: 6 },
).chain((rows) => withNumbersOf(runnable([evenRow("run", 6), ...rows], 6), 6, isMlp));

/** Attentions need all of their tokens. */
function isMlp(module: number): boolean {
  return module % 2 === 1;
}

Deno.test("any plan runs on the device with every load behind its store, and keeps what is predicted", async () => {
  const model = await openSmallModel();
  const wasm = await openWasm();
  const { backend, bytes } = countBytes(wasm);
  const executor = new Executor(backend, model.transformer, model.weights);
  try {
    await fc.assert(
      fc.asyncProperty(anyRows, async (numbered) => {
        const { rows } = numbered;
        const plan = parsePlan(formatPlan(await planOf(model, numbered)));
        const compiled = compilePlan(plan);
        const features = new FeatureCache();
        const request = resolveRequest(model, { labels: [2, 5], seed: 1, steps: rows.length });
        const { steps } = compiled;
        let ran = 0;
        for await (const { latents } of runSteps({ model, executor, request, steps, features })) {
          assertEquals(bytes(), features.bytes); // between steps nothing else is on the device
          assert(latents.data.every(Number.isFinite));
          ran++;
        }
        assertEquals([ran, bytes()], [rows.length, 0]);
        const sizes = featureSizes(model.transformer, 4); // two pictures, each with its null half
        assertEquals(features.peakBytes, peakLiveBytes(compiled, sizes));
      }),
      { numRuns: 25, seed: 11 },
    );
    await executor.dispose();
    assertEquals(wasm.live, { values: 0, sessions: 0 });
  } finally {
    await wasm.dispose();
    await model.close();
  }
});

async function planOf(
  model: Model,
  { rows, features, shares }: NumberedRows,
): Promise<Plan> {
  const { times } = linearSchedule(rows.length);
  const target = await planTarget(model, { times, guidance: model.sampler.guidance });
  const isPartial = shares.some((each) => each !== null);
  const tokenScore = { attention: 1, age: 0.5, bonus: 0.6, cell: 2 };
  const own = { times, columns: { features, shares }, ...(isPartial && { tokenScore }) };
  return makePlan(target, rows, { policy: { name: "hand", parameters: {} }, own });
}

/** A backend that counts the bytes of the values that it gave out and that are not disposed of. */
function countBytes(backend: Backend): { readonly backend: Backend; readonly bytes: () => number } {
  const alive = new Set<Value>();
  const counted = (value: Value): Value => {
    alive.add(value);
    const dispose = value.dispose.bind(value);
    return Object.assign(value, {
      dispose: () => {
        alive.delete(value);
        dispose();
      },
    });
  };
  const counting: Backend = {
    name: backend.name,
    description: backend.description,
    weights: backend.weights,
    get live() {
      return backend.live;
    },
    load: async (model) => {
      const session = await backend.load(model);
      return {
        name: session.name,
        run: async (inputs, outputs) => {
          const results = await session.run(inputs, outputs);
          Object.values(results).forEach(counted);
          return results;
        },
        dispose: () => session.dispose(),
      };
    },
    upload: (tensor) => counted(backend.upload(tensor)),
    download: (value) => backend.download(value),
    dispose: () => backend.dispose(),
  };
  return {
    backend: counting,
    bytes: () => [...alive].reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
}
