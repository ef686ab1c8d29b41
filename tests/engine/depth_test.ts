/** Depth: steps that leave out the last groups of blocks, of models that were trained to do without. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { randomNumbers } from "../../scripts/make/random_weights.ts";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { openNative } from "../../src/backend/native.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { PlanError } from "../../src/errors.ts";
import { buildStep } from "../../src/engine/device/step_graph.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { Executor } from "../../src/engine/executor.ts";
import { runSteps, runToEnd } from "../../src/engine/run.ts";
import { expectCells } from "../../src/engine/segment/expect_cells.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { ditTensors } from "../../src/model/dit/dit.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { peakLiveBytes, predictSpeedup } from "../../src/plan/cost.ts";
import { elementCount, type Tensor } from "../../src/tensor/tensor.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";
import { examplePlan } from "../plan/example_plans.ts";
import { interfere, runOf } from "./small_model.ts";

const SIZES = {
  ...{
    input_size: 8,
    patch_size: 2,
    in_channels: 4,
    hidden_size: 32,
    num_heads: 2,
    num_classes: 7,
  },
  learn_sigma: false,
};

/** A DiT of so many blocks in groups of two, as files; blocks of the same number have the same random weights. */
function ditFiles(depth: number): ReadonlyMap<string, Uint8Array> {
  const config = { ...SIZES, depth, depth_group: 2 };
  const tensors = new Map([...ditTensors(parseDitConfig(config))].map(([name, dims]) => {
    const seed = [...name].reduce((sum, letter) => 31 * sum + letter.charCodeAt(0) | 0, 7);
    return [name, { dims, data: randomNumbers(elementCount(dims), seed >>> 0) }] as const;
  }));
  return new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(config))],
    ["weights.safetensors", joinBytes([...encodeSafetensors(tensors)])],
  ]);
}

const BACKENDS = [
  ["initializers", openWasm],
  ["inputs", openWasm],
  ["initializers", openNative],
] as const;

for (const [weights, open] of BACKENDS) {
  Deno.test(`steps without the last blocks have the bits of a model without them, by ${open.name} with weights as ${weights}`, async () => {
    const backend = await open();
    const ran: string[] = [];
    const latents = async (model: Model, rows: readonly string[]): Promise<Tensor> => {
      ran.length = 0;
      const watched: Backend = interfere(backend, {
        weights,
        onRun: (name) => void ran.push(name),
      });
      const executor = new Executor(watched, model.transformer, model.weights);
      const { latents } = await runToEnd(runSteps(await runOf(model, executor, rows, {})));
      await executor.dispose();
      return latents;
    };
    const [deep, shallow] = [await openModel(ditFiles(6)), await openModel(ditFiles(2))];
    try {
      const wanted = await latents(shallow, ["....", "....", "r..r", "="]);
      const left = ["....--------", "....--------", "r..r--------", "="];
      const [begun] = [[...ran]];
      assertEquals(await latents(deep, left), wanted);
      assertEquals(ran, begun); // no graph of what is left out
      const full = await latents(deep, ["............", "............", "............", "="]);
      assert(full.data.some((number, i) => number !== wanted.data[i]));
      const added = ["............", "............", "............", "+"];
      assertEquals(await latents(deep, added), full); // the sum of groups begins with nothing
      // A feature from before its block was left out is still there.
      const later = ["............", "....--------", "rrrrrrrrrrrr", "="];
      assert((await latents(deep, later)).data.every(Number.isFinite));
      assertEquals(backend.live, { values: 0, sessions: 0 });
    } finally {
      await backend.dispose();
      for (const model of [deep, shallow]) await model.close();
    }
  });
}

Deno.test("the graph of such a step on a GPU has the operators of a model without these blocks", async () => {
  const [deep, shallow] = [await openModel(ditFiles(6)), await openModel(ditFiles(2))];
  const graphOf = ({ transformer }: Model, row: string) => {
    const [step] = compilePlan(examplePlan([row], { version: 2 })).steps;
    assert(step !== undefined && step.kind !== "forecast");
    const { graph, vectors } = buildStep(transformer, step);
    const { inputs, parameters, operations } = graph;
    return { inputs, parameters, operations, vectors };
  };
  assertEquals(graphOf(deep, "....--------"), graphOf(shallow, "...."));
  for (const model of [deep, shallow]) await model.close();
});

Deno.test("what is left out costs and keeps nothing, its merge neither", () => {
  const cost = {
    ...{ embed: 1, head: 2 },
    modules: [{ branch: 100, merge: 10 }, { branch: 40, merge: 4 }],
  };
  const compiled = compilePlan(examplePlan(["..", ".-", "rr"], { version: 2 }));
  const [full, shallow, reused] = [157, 113, 17];
  assertEquals(predictSpeedup(compiled, cost), 3 * full / (full + shallow + reused));
  const sizes = { modules: [8, 1], hidden: 0, residual: 0 };
  assertEquals(peakLiveBytes(compiled, sizes), 9); // of the second module the feature of two steps before
});

const REFUSED = [
  [
    "....-.......",
    'step 1, module blocks.2.mlp must be "-", for blocks.2.attn before it is: current value is "."',
  ],
  ["......------", 'module blocks.3.attn must be without "-", for no group of 4 begins there'],
  ["------------", 'module blocks.0.attn must be without "-", for no group of 4 begins there'],
] as const;

for (const [row, message] of REFUSED) {
  Deno.test(`a step that leaves out ${row} is refused`, async () => {
    const engine = await openEngine({ backend: "wasm", model: ditFiles(6) });
    const plan = {
      ...examplePlan(["............", row], { version: 2 }),
      sampler: { name: "flow-euler", times: [1, 0.5] },
      fingerprints: [await engine.model.fingerprint()],
    };
    await assertRejects(() => engine.prepare({ plan }), PlanError, message);
    await engine.close();
  });
}

Deno.test("a model that was not trained to do without any block is not asked to, by name", async () => {
  const model = await openModel(new URL("../golden/dit-a/", import.meta.url));
  const { steps } = compilePlan(examplePlan(["......", "....--"], { version: 2 }));
  assertThrows(
    () => expectCells(steps, model.transformer, { name: "wasm" }),
    PlanError,
    'Cannot use plan: step 1, module blocks.2.attn must be without "-", for the model was not trained to do ' +
      "without: its config.json has no depth_group",
  );
  await model.close();
});
