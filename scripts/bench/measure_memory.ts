/**
 * Memory of real runs against what was predicted before: WebAssembly's memory to a KiB, or resident memory
 * of the process on native. One process for each model and backend.
 *
 *     deno task measure-memory --model DiT-B/4 --backend wasm --count 1,4,16
 */
import process from "node:process";
import { parseArgs } from "../parse_args.ts";
import { openNative } from "../../src/backend/native.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { Executor } from "../../src/engine/executor.ts";
import { FeatureCache } from "../../src/engine/feature_cache.ts";
import { memoryReport } from "../../src/engine/memory/report.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { runSteps } from "../../src/engine/run.ts";
import { fullSteps } from "../../src/engine/segment/step_segments.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { watchMemories } from "./high_water.ts";
import { randomModel } from "../make/random_weights.ts";

const STEPS = 2;
const MIB = 2 ** 20;

/** A published size with random weights, or a model that there is. */
export async function modelOf(name: string | undefined): Promise<Model> {
  if (name === undefined || !name.startsWith("DiT-")) {
    return await openModel(name ?? FASHION_DIT);
  }
  return randomModel(name);
}

/** Runs full steps of so many pictures; nothing is kept. */
export async function runPictures(model: Model, executor: Executor, count: number): Promise<void> {
  const labels = Array.from({ length: count }, (_, i) => i % model.classes);
  const request = resolveRequest(model, { labels, steps: STEPS, seed: 1 });
  const steps = fullSteps(STEPS, model.transformer.modules.length);
  const features = new FeatureCache();
  for await (const _ of runSteps({ model, executor, request, steps, features })) { /* each step */ }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      backend: { type: "string", default: "wasm" },
      count: { type: "string", default: "1,4,16" },
    },
  });
  const memories = watchMemories();
  const name = values.backend === "native" ? "native" : "wasm";
  const backend = await (name === "native" ? openNative() : openWasm());
  const model = await modelOf(values.model);
  const executor = new Executor(backend, model.transformer, model.weights);
  console.log(`| ${model.id}, ${backend.description} | predicted MiB | measured MiB | ratio |`);
  console.log("| --- | --- | --- | --- |");
  for (const count of values.count.split(",").map(Number)) {
    await runPictures(model, executor, count);
    const report = memoryReport(model, { pictures: count, steps: STEPS });
    const predicted = report.backends.find((memory) => memory.name === name)!.peak; // each has one
    const measured = name === "wasm" ? memories.highWater() : process.resourceUsage().maxRSS * 1024; // in KiB on Linux
    const numbers = [predicted / MIB, measured / MIB].map((mib) => mib.toFixed(1)).join(" | ");
    console.log(`| ${report.rows} rows | ${numbers} | ${(measured / predicted).toFixed(2)} |`);
  }
  await executor.dispose();
  await backend.dispose();
  await model.close();
}
