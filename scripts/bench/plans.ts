/**
 * How much of its predicted speed-up a plan delivers.
 *
 *     deno task bench:plans                                    every model on wasm and native
 *     deno task bench:plans --model DiT-B/4 --backend native   one of them
 *
 * The plan has the published DiT-fast structure (50 steps, 30 of them reused, module cells in four of
 * the others), scaled to the model's depth. Full and planned loops of one guided picture alternate;
 * medians are compared. `loop` is the sampler's loop, `all` has the conditioning ahead of it too.
 */
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { findNative } from "../../src/backend/native.ts";
import { openBackend } from "../../src/backend/select.ts";
import { Executor } from "../../src/engine/executor.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { featureSizes, modelCost } from "../../src/engine/plan_facts.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { type BatchResult, runSteps, runToEnd, type StepReport } from "../../src/engine/run.ts";
import { fullSteps } from "../../src/engine/segment/step_segments.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { compilePlan, type Step } from "../../src/plan/compile.ts";
import { peakLiveBytes, predictSpeedup } from "../../src/plan/cost.ts";
import { publishedDitPlan } from "../../tests/plan/published_plans.ts";
import { randomModel } from "../make/random_weights.ts";
import { median } from "../../src/calibrate/median.ts";

const MODELS = ["fashion-dit", "DiT-S/2", "DiT-B/4"];

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    backend: { type: "string" },
    rounds: { type: "string", default: "3" },
  },
});

interface Timed {
  readonly result: BatchResult;
  readonly reports: readonly StepReport[];
}

console.log("model        predicted  loop   /predicted  all    reused/full  kept MiB  backend");
const found = await findNative() === undefined ? ["wasm"] : ["wasm", "native"];
for (const name of values.backend === undefined ? found : [values.backend]) {
  for (const model of values.model === undefined ? MODELS : [values.model]) {
    console.log(await measure(model, name as BackendName)); // openBackend refuses other names
  }
}

async function measure(name: string, backendName: BackendName): Promise<string> {
  const model = await open(name);
  const { transformer, weights } = model;
  const { backend } = await openBackend({ backend: backendName });
  const executor = new Executor(backend, transformer, weights);
  const compiled = compilePlan(publishedDitPlan("fast", transformer.modules.length / 2));
  const full = fullSteps(compiled.steps.length, transformer.modules.length);
  await run(model, executor, compiled.steps); // loads every session
  const timed: { full: Timed[]; planned: Timed[] } = { full: [], planned: [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    timed.full.push(await run(model, executor, full));
    timed.planned.push(await run(model, executor, compiled.steps));
  }
  await executor.dispose();
  await backend.dispose();
  await model.close();
  const predicted = predictSpeedup(compiled, modelCost(transformer));
  const loop = ratio(timed, ({ result }) => result.loopSeconds);
  const all = ratio(timed, ({ result }) => result.loopSeconds + result.conditioningSeconds);
  const kept = peakLiveBytes(compiled, featureSizes(transformer, 2));
  if (kept !== timed.planned[0]!.result.peakFeatureBytes) {
    throw new Error(`Kept bytes must be as predicted, ${kept}`);
  }
  return [
    name.padEnd(12),
    predicted.toFixed(3).padStart(9),
    loop.toFixed(3).padStart(6),
    (loop / predicted).toFixed(3).padStart(10),
    all.toFixed(3).padStart(7),
    stepShare(timed).padStart(10),
    (kept / 2 ** 20).toFixed(1).padStart(10),
    ` ${backend.description}`,
  ].join(" ");
}

async function open(name: string): Promise<Model> {
  if (name === "fashion-dit") return await openModel(FASHION_DIT);
  return randomModel(name);
}

async function run(model: Model, executor: Executor, steps: readonly Step[]): Promise<Timed> {
  const request = resolveRequest(model, { labels: [1], steps: steps.length });
  const loop = runSteps({ model, executor, request, steps, features: new FeatureCache() });
  const reports: StepReport[] = [];
  return { result: await runToEnd(loop, (report) => void reports.push(report)), reports };
}

function ratio(
  { full, planned }: { readonly full: readonly Timed[]; readonly planned: readonly Timed[] },
  seconds: (timed: Timed) => number,
): number {
  return median(full.map(seconds)) / median(planned.map(seconds));
}

/** What a reused step costs of a full one, in percent. */
function stepShare({ planned }: { readonly planned: readonly Timed[] }): string {
  const secondsOf = (kind: StepReport["kind"]): number =>
    median(
      planned.flatMap(({ reports }) =>
        reports.filter((report) => report.kind === kind).map(({ seconds }) => seconds)
      ),
    );
  return `${(100 * secondsOf("reuse") / secondsOf("full")).toFixed(1)} %`;
}
