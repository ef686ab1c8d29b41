/**
 * Streams a model through a backend: opens it, binds a plan of full steps to it, then builds, loads and
 * disposes of every graph of a step, one at a time. Tells seconds and peak resident memory.
 *
 *     deno run -A scripts/bench/stream_model.ts --model /tmp/flux-dev --backend native
 */
import process from "node:process";
import { parseArgs } from "../parse_args.ts";
import type { BackendName } from "../../src/backend/backend.ts";
import { openBackend } from "../../src/backend/select.ts";
import { uniformPlan } from "./uniform_plan.ts";
import { gibibytes, memoryNeeds } from "../../src/engine/memory/needs.ts";
import { planTarget } from "../../src/engine/plan_facts.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { buildSegment } from "../../src/engine/segment/segment.ts";
import { loadWithWeights } from "../../src/engine/load_graph.ts";
import { fullStep, stepParts } from "../../src/engine/segment/step_segments.ts";
import { openModel } from "../../src/model/open_model.ts";
import { checkPlanFits } from "../../src/plan/fit.ts";

const { values } = parseArgs({
  options: { model: { type: "string" }, backend: { type: "string", default: "native" } },
});
const began = performance.now();
const model = await openModel(values.model ?? FASHION_DIT);
const { transformer, weights } = model;
const needs = memoryNeeds(transformer);
const plan = await uniformPlan(model, { steps: model.sampler.steps, every: 2 });
const { times } = plan.sampler;
checkPlanFits(plan, await planTarget(model, { times, guidance: model.sampler.guidance }));
const planned = (performance.now() - began) / 1000;
const { backend } = await openBackend({ backend: values.backend as BackendName }); // it refuses others
const before = process.resourceUsage().maxRSS * 1024;
const parts = stepParts(fullStep(transformer.modules.length));
const started = performance.now();
for (const part of parts) {
  const session = await loadWithWeights(backend, buildSegment(transformer, [part]), weights);
  await session.dispose();
}
const seconds = (performance.now() - started) / 1000;
const peak = process.resourceUsage().maxRSS * 1024;
await backend.dispose();
await model.close();
console.log(
  [
    `${model.id}: opened, fingerprinted and planned in ${planned.toFixed(1)} s`,
    `${parts.length} graphs on ${backend.description} in ${seconds.toFixed(1)} s, ` +
    `${gibibytes(needs.weights)} of weights in float32`,
    `peak RSS ${gibibytes(peak)}, ${
      gibibytes(before)
    } before the first graph; the largest graph has ` +
    `${gibibytes(needs.largestGraph)}: ${gibibytes(peak - needs.largestGraph)} beyond it`,
  ].join("\n"),
);
