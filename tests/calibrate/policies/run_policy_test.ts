/** What every policy that needs no training does, on a small DiT and a small FLUX. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { calibrate, openPipeline, type Pipeline } from "../../../mod.ts";
import { importPolicy } from "../../../src/calibrate/policies/run_policy.ts";
import { POLICIES } from "../../../src/calibrate/policies/table.ts";
import type { RunConditions } from "../../../src/calibrate/task.ts";
import { engineOf } from "../../../src/engine/engine.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import { exportCacheBook } from "../../../src/plan/cache_book/export.ts";
import { importCacheBook } from "../../../src/plan/cache_book/import.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { checkPlanFits } from "../../../src/plan/fit.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import { renderSvg } from "../../../src/plan/render/svg.ts";
import { renderText } from "../../../src/plan/render/text.ts";
import { jsonFile } from "./policy_file.ts";
import { openSmallFlux } from "./small_flux.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);
/** But the one whose models are of a kind of their own. */
const RECORDED = Object.entries(POLICIES).flatMap(([name, { record }]) =>
  record && name !== "odelt" ? [name] : []
);
/** Settings with which a search has little to try. */
const QUICK: Readonly<Record<string, string>> = { budcache: "budcache:evaluations=2,iterations=5" };
/** Every policy as published or quickly, and what settings change of what stands for a computed step. */
const WORDS = [
  ...RECORDED.map((name) => QUICK[name] ?? name),
  "taylorseer:of=1,order=2",
  "adams-bashforth:of=1",
  "hicache:of=1",
];
const SMALL = { runs: 2, steps: 12, seed: 3 };

/** A model, and what its runs begin from. */
interface Subject {
  readonly pipeline: Pipeline;
  readonly conditions?: RunConditions;
}

const MODELS: Readonly<Record<string, () => Promise<Subject>>> = {
  "dit-a": async () => ({ pipeline: await openPipeline({ model: DIT_A, backend: "wasm" }) }),
  "flux-a": openSmallFlux,
};

for (const policy of WORDS) {
  for (const [model, open] of Object.entries(MODELS)) {
    Deno.test(`policy ${policy} makes for ${model} a plan like any other, the same each time, which runs`, async () => {
      const { pipeline, conditions } = await open();
      try {
        const counted: number[] = [];
        const onProgress = (done: number, total: number): void => void counted.push(total - done);
        const options = { ...SMALL, policy, ...(conditions && { conditions }) };
        const plan = await calibrate(pipeline, { ...options, onProgress });
        const text = formatPlan(plan);
        assertEquals(formatPlan(parsePlan(text)), text);
        assertEquals(formatPlan(await calibrate(pipeline, options)), text);
        assertEquals(plan.policy.name, policy.split(":")[0]);
        assertEquals(plan.rows.length, SMALL.steps);
        assert(counted.length === 0 || counted.at(-1) === 0);
        const plain = plan.rows.every(([row]) => /^([.r]+|=)$/.test(row!.text));
        if (plan.version === 1 && plain) { // a book can say it
          const book = JSON.parse(JSON.stringify(exportCacheBook(plan)));
          assertEquals(importCacheBook(book, plan.sampler).rows, plan.rows);
        }
        assert(renderText(plan).includes("12") && renderSvg(plan).includes("<svg"));
        const engine = engineOf(pipeline);
        const { sampler: { guidance } } = engine.model;
        const run = conditions?.given === undefined
          ? { labels: [1] }
          : { labels: conditions.labels, noise: conditions.noise, ...conditions.given };
        const { latents, kinds } = await pipeline.generate({ ...run, plan, output: "latents" });
        assertEquals(kinds[0], "full");
        assert(latents.data.every(Number.isFinite));
        const { sampler: { times }, context: { tokenGrid } } = plan;
        if (plan.version === 1) {
          assertEquals(
            checkPlanFits(plan, await planTarget(engine.model, { times, guidance, tokenGrid })),
            [],
          );
        }
        assertEquals(engine.backend.live.values, 0);
      } finally {
        await pipeline.close();
      }
    });
  }
}

Deno.test("calibrate() refuses a policy beside modes, their options, and policies that are trained", async () => {
  const pipeline = await openPipeline({ model: DIT_A, backend: "wasm" });
  try {
    const wrong = [
      [{ policy: "magcache", mode: "guided" }, "mode must not be given together with a policy"],
      [{ policy: "magcache", trials: 3 }, "trials must not be given with policy magcache"],
      [{ policy: "magcache", warmup: 0 }, "warmup must not be given with policy magcache"],
      [{ policy: "fastcache" }, "policy must be one of"],
      [{ policy: "learning-to-cache" }, "policy must be one that needs no training"],
    ] as const;
    for (const [options, message] of wrong) {
      await assertRejects(() => calibrate(pipeline, { ...SMALL, ...options }), TypeError, message);
    }
    assertEquals(engineOf(pipeline).backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
});

Deno.test("a solver that takes no times of a plan is refused by policies whose plans own theirs", async () => {
  const pipeline = await openPipeline({ model: DIT_A, backend: "wasm", sampler: "heun" });
  try {
    for (const policy of ["taylorseer", "adams-bashforth", "hicache:of=1", "ertacache"]) {
      const call = () => calibrate(pipeline, { policy, runs: 1, steps: 5 });
      await assertRejects(
        call,
        RangeError,
        "sampler must be one that visits a plan's times, each once: current value is heun",
      );
    }
  } finally {
    await pipeline.close();
  }
});

Deno.test("importPolicy() refuses policies without files, and ratios without a model", async () => {
  const file = jsonFile([1, 1]);
  const sampler = { name: "ddim", times: [9, 0] };
  const unread = Object.entries(POLICIES).filter(([, { read }]) => read === undefined);
  for (const [name] of unread) {
    const call = () => importPolicy(name, file, { sampler });
    await assertRejects(call, TypeError, "policy must be one whose authors publish files");
  }
  for (const name of ["magcache", "procache", "l2p"]) {
    const call = () => importPolicy(name, file, { sampler });
    await assertRejects(call, TypeError, `a model must be given to policy ${name}`);
  }
});
