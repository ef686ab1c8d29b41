/** True guidance of FLUX against diffusers' `FluxPipeline` with `true_cfg_scale`. */

import { assertEquals } from "@std/assert";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { featureSizes, planTarget } from "../../src/engine/plan_facts.ts";
import { type GenerateOptions, resolveRequest } from "../../src/engine/request.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { peakLiveBytes } from "../../src/plan/cost.ts";
import { makePlan } from "../../src/plan/fit.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { joinRows, sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { requires } from "../_shim/requires.ts";
import { assertClose, relativeError } from "../conformance/compare.ts";
import { rowsOf } from "../plan/example_plans.ts";

const GUIDANCE = 3.5;
const FLUX_A = new URL("../golden/flux-a/", import.meta.url);
/** Both sides are float32; errors of 28 steps sum up. */
const TOLERANCE = 1e-4;

for (const backend of ["wasm", "native", "webgpu"] as const) {
  const needs = backend === "wasm" ? [] : [backend];
  const options = await requires(`FLUX, truly guided, on ${backend}`, ...needs);
  for (const kind of ["each", "one"] as const) {
    Deno.test(
      `truly guided latents, ${kind} negative, are diffusers' on ${backend}`,
      options,
      async () => {
        const { given, wanted } = await golden(kind);
        const pipeline = await openEngine({ backend, precision: "f32", model: FLUX_A });
        const { latents } = await pipeline.generate({ ...given, plan: "none" });
        await pipeline.close();
        const error = relativeError(latents.data, wanted.data);
        console.log(
          `truly guided, ${kind}, on ${backend}: ${error.toExponential(1)} × max|reference|`,
        );
        assertClose(latents, wanted, { tolerance: TOLERANCE, what: "latents" });
      },
    );
  }
}

Deno.test("a plan reuses in both halves of true guidance, and keeps what was predicted for them", async () => {
  const { given: { text, pooled, ...rest } } = await golden("each");
  const given = { ...rest, text, pooled, steps: 3 };
  const pipeline = await openEngine({ backend: "wasm", model: FLUX_A });
  const plan = await planOf(given, pipeline);
  const { peakFeatureBytes, notices } = await pipeline.generate({ ...given, plan });
  const { scene: { transformer } } = resolveRequest(pipeline.model, given);
  const rows = 4; // two pictures, two halves
  assertEquals(
    peakFeatureBytes,
    peakLiveBytes(compilePlan(plan), featureSizes(transformer, rows)),
  );
  assertEquals(notices[0], "The plan was made without true guidance; this run has it.");
  const same = { ...given, negativeConditions: { text: text!, pooled: pooled! } };
  const led = await pipeline.generate({ ...same, plan });
  const plain = await pipeline.generate({ ...given, trueGuidance: 1, plan });
  await pipeline.close();
  // Led away from itself a prediction is itself.
  assertClose(led.latents, plain.latents, { tolerance: 1e-6, what: "latents" });
});

/** A hand-made plan of three steps: all, half of the modules, the kept state. */
async function planOf(given: GenerateOptions, { model }: Engine): Promise<Plan> {
  const { sampler: { times } } = resolveRequest(model, given);
  const { length } = model.transformer.modules;
  const half = Array.from({ length }, (_, i) => (i % 2 === 0 ? "r" : ".")).join("");
  const target = await planTarget(model, { times, guidance: GUIDANCE, tokenGrid: given.grid });
  const policy = { name: "hand", parameters: {} };
  return makePlan(target, rowsOf([".".repeat(length), half, "="]), { policy });
}

/** As the script that made the numbers has them. */
async function golden(
  kind: "each" | "one",
): Promise<{ readonly given: GenerateOptions; readonly wanted: Tensor }> {
  const source = openDirectory(FLUX_A);
  try {
    const file = await openSafetensors(source, "golden.safetensors");
    const rows = async (name: string, ...rows: number[]): Promise<Tensor> => {
      const tensor = await file.readFloat32(name);
      return joinRows(rows.map((row) => sliceRows(tensor, row, 1)));
    };
    const negatives = kind === "each" ? [2, 0] : [2];
    return {
      given: {
        text: await rows("text", 0, 1),
        pooled: await rows("pooled", 0, 1),
        noise: await rows("noise", 0, 1),
        negativeConditions: {
          text: await rows("text", ...negatives),
          pooled: await rows("pooled", ...negatives),
        },
        grid: [6, 4],
        guidance: GUIDANCE,
        trueGuidance: 2.5,
        steps: 28,
      },
      wanted: await (await openSafetensors(source, "guided.safetensors"))
        .readFloat32(`sample.${kind}`),
    };
  } finally {
    await source.close();
  }
}
