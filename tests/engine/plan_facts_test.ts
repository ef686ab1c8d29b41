import { assertEquals, assertRejects } from "@std/assert";
import { openEngine } from "../../src/engine/engine.ts";
import { planTarget } from "../../src/engine/plan_facts.ts";
import { resolveRequest } from "../../src/engine/request.ts";
import { PlanError } from "../../src/errors.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { examplePlan } from "../plan/example_plans.ts";

const FLUX_A = new URL("../golden/flux-a/", import.meta.url);
const STEPS = 3;

Deno.test("a plan of one token grid runs on another, whose times a shift has moved", async () => {
  const pipeline = await openEngine({ backend: "wasm", model: FLUX_A });
  const { model } = pipeline;
  const grid = [2, 3] as const;
  const sigmas = [1, 0.7, 0.2];
  const text = normalNoise([1, 2, 24], 1);
  const pooled = normalNoise([1, 20], 2);
  const options = { text, pooled, steps: STEPS, guidance: 3.5, output: "latents" } as const;
  const planFor = async (given: { readonly sigmas?: readonly number[] }) => {
    const { sampler: { times } } = resolveRequest(model, { ...options, grid, ...given });
    const run = { times, ...given, guidance: 3.5, tokenGrid: grid };
    const { architecture, modules, fingerprint, sampler } = await planTarget(model, run);
    const full = ".".repeat(modules.length);
    return examplePlan([full, "=", full], {
      ...{ architecture, modules, fingerprints: [fingerprint], sampler: { name: sampler, times } },
      context: { tokenGrid: grid },
    });
  };
  for (const given of [{}, { sigmas }]) {
    const plan = await planFor(given);
    const same = await pipeline.generate({ ...options, ...given, plan, grid });
    assertEquals(same.notices, []);
    const { notices } = await pipeline.generate({ ...options, ...given, plan, grid: [4, 4] });
    assertEquals(notices.map((notice) => notice.replace(/\d\.\d+/g, "…")), [
      "The plan was made for token grid 2×3; this run has 4×4.",
      "The plan was made for time … at step 1; this run has ….",
    ]);
  }
  await assertRejects(
    async () => pipeline.generate({ ...options, plan: await planFor({ sigmas }), grid: [4, 4] }),
    PlanError,
    "time of step 1 must be",
  );
  await pipeline.close();
});
