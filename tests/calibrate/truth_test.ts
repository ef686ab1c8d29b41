import { assert, assertEquals } from "@std/assert";
import { comparePlan } from "../../src/calibrate/compare.ts";
import { seededConditions, sliceConditions } from "../../src/calibrate/task.ts";
import { convergedSolution, nearnessTo } from "../../src/calibrate/truth.ts";
import type { TruthStore } from "../../src/calibrate/truth_store.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { normalRows } from "../../src/tensor/random.ts";
import { uniformPlan } from "../../scripts/bench/uniform_plan.ts";

const GOLDEN = new URL("../golden/", import.meta.url);

/** A store whose texts can be looked at. */
function memory(): TruthStore & { readonly texts: Map<string, string> } {
  const texts = new Map<string, string>();
  return {
    texts,
    readText: (path) => Promise.resolve(texts.get(path)),
    writeText: (path, text) => Promise.resolve(void texts.set(path, text)),
  };
}

async function withEngine(name: string, use: (engine: Engine) => Promise<void>): Promise<void> {
  const engine = await openEngine({ model: new URL(`${name}/`, GOLDEN), backend: "wasm" });
  try {
    await use(engine);
  } finally {
    await engine.close();
  }
}

Deno.test("a converged solution agrees with 1,000 steps of DDIM, is kept, and found again", async () => {
  await withEngine("dit-a", async (pipeline) => {
    const conditions = seededConditions(pipeline, { runs: 3, seed: 5 });
    const store = memory();
    const stages: string[] = [];
    const task = {
      ...{ pipeline, conditions, guidance: 1.5, store },
      onStage: (what: string) => void stages.push(what),
    };
    const truth = await convergedSolution(task);
    assert(truth.solver.calls < 1000 && truth.solver.agreementDb >= 60, `${truth.solver.calls}`);
    assert(stages.some((stage) => stage.includes("1000 calls")), `${stages}`);
    const { labels, noise } = conditions;
    const given = { labels, noise, guidance: 1.5, steps: 1000, plan: "none" } as const;
    const { latents } = await pipeline.generate(given);
    const near = nearnessTo(truth, { pipeline, latents, pictures: latents });
    assert(near.psnrDb.every((db) => db > 55), `${near.psnrDb}`);
    const power = latents.data.reduce((sum, x) => sum + x * x, 0) / latents.data.length;
    assert(near.latentMse.every((error) => error > 0 && error < 1e-3 * power), `${near.latentMse}`);

    stages.length = 0;
    const again = await convergedSolution(task);
    assertEquals([again.latents.data, again.solver, stages], [
      truth.latents.data,
      truth.solver,
      [],
    ]);
    const one = await convergedSolution({ ...task, conditions: sliceConditions(conditions, 1, 1) });
    assertEquals([one.latents.data, stages], [truth.latents.data.slice(256, 512), []]);

    for (const path of store.texts.keys()) store.texts.set(path, "damaged");
    const anew = await convergedSolution(task);
    assertEquals(anew.latents.data, truth.latents.data);
    assert(stages.length > 0);
    stages.length = 0;
    await convergedSolution({ ...task, guidance: 2 });
    assert(stages.length > 0, "another guidance has another solution");
  });
});

Deno.test("a flow's converged solution is one that half the calls agree with; text and noise tell them apart", async () => {
  await withEngine("flux-a", async (pipeline) => {
    const source = openDirectory(new URL("flux-a/", GOLDEN));
    const file = await openSafetensors(source, "golden.safetensors");
    const read = (name: string) => file.readFloat32(name);
    const [text, pooled, imageIds] = [
      await read("text"),
      await read("pooled"),
      await read("image_ids"),
    ];
    await source.close();
    const store = memory();
    const given = { text, pooled, imageIds };
    const conditionsOf = (label: number, seed: number) => ({
      ...{ labels: [label], noise: normalRows([24, 16], [seed]), seeds: [seed], given },
    });
    const truthOf = async (label: number, seed: number): Promise<Float32Array> => {
      const conditions = conditionsOf(label, seed);
      const truth = await convergedSolution({ pipeline, conditions, guidance: 3.5, store });
      // Random weights make a path that is rough in time: the last halving still changes it a little.
      assert(
        truth.solver.calls >= 32 && truth.solver.agreementDb > 45,
        `${truth.solver.agreementDb}`,
      );
      return truth.latents.data;
    };
    const first = await truthOf(0, 1);
    const texts = store.texts.size;
    const others = [await truthOf(1, 1), await truthOf(0, 2)];
    assertEquals(store.texts.size, texts + 2);
    assertEquals(await truthOf(0, 1), first);
    assert(others.every((other) => `${other}` !== `${first}`));
  });
});

Deno.test("comparePlan() says how near plan and full run come to the converged solution", async () => {
  await withEngine("dit-a", async (pipeline) => {
    const plan = await uniformPlan(pipeline.model, { steps: 4, every: 2 });
    const conditions = seededConditions(pipeline, { runs: 2, seed: 5 });
    const { truth } = await comparePlan({ pipeline, plan, conditions, rounds: 1, truth: {} });
    assertEquals([truth!.full.psnrDb.length, truth!.planned.latentMse.length], [2, 2]);
    assert(truth!.full.psnrDb.every((db) => db > 5 && db < 60), `${truth!.full.psnrDb}`);
  });
});
