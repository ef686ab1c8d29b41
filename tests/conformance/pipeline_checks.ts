/** What whole pipelines must hold on every backend: interleaving and cancelling. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Backend } from "../../src/backend/backend.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import { GraphBuilder } from "../../src/onnx/graph.ts";
import { encodeModel } from "../../src/onnx/model_proto.ts";
import { add, multiply } from "../../src/onnx/operators.ts";
import type { BackendCheck } from "./check.ts";

/** A DiT of three blocks with random weights; also found from a bundle in `.cache/conformance/`. */
export const DIT_A = new URL("../../tests/golden/dit-a/", import.meta.url);

/** Checks of pipelines. */
export const PIPELINE_CHECKS: readonly BackendCheck[] = [
  {
    name: "runs of two sessions at the same time end with the right numbers",
    blocks: true,
    check: checkOverlap,
  },
  {
    name: "two pipelines at the same time make what each makes alone",
    blocks: true,
    check: checkInterleaved,
  },
  { name: "a run that is aborted between its steps leaves nothing behind", check: checkCancel },
  { name: "a loop that is left early leaves nothing behind", check: checkLeaving },
];

const request: GenerateOptions = { labels: [1, 2], seed: 7, steps: 4 };
const otherRequest: GenerateOptions = { labels: [3, 4, 5], seed: 8, steps: 5 };

function open(backend: Backend): Promise<Engine> {
  return openEngine({ model: DIT_A, backend: backend.name, precision: "f32" });
}

async function checkOverlap(backend: Backend): Promise<void> {
  const model = (factor: number) => {
    const graph = new GraphBuilder(`times ${factor}`);
    const x = graph.input("x", ["N"]);
    const product = multiply(graph, x, graph.constant([1], [factor], "float32"));
    graph.output("y", add(graph, product, x));
    return encodeModel(graph);
  };
  const task = async (factor: number): Promise<number[]> => {
    const session = await backend.load(model(factor));
    const runs = Array.from({ length: 5 }, async (_, i) => {
      const x = backend.upload({ dims: [1], data: Float32Array.of(i) });
      const { y } = await session.run({ x }, ["y"]);
      const { data } = await backend.download(y!); // its only output
      for (const value of [x, y!]) value.dispose();
      return data[0]!;
    });
    const numbers = await Promise.all(runs);
    await session.dispose();
    return numbers;
  };
  const both = await Promise.all([task(2), task(4)]);
  assertEquals(both, [[0, 3, 6, 9, 12], [0, 5, 10, 15, 20]]);
}

async function checkInterleaved(backend: Backend): Promise<void> {
  const [one, two] = [await open(backend), await open(backend)];
  try {
    const alone = [await one.generate(request), await two.generate(otherRequest)];
    const both = Promise.all([one.generate(request), two.generate(otherRequest)]);
    const together = await both;
    for (const [i, { latents }] of together.entries()) {
      assert(latents.data.some((v) => v !== 0));
      assertEquals(latents, alone[i]!.latents); // as many alone as together
    }
  } finally {
    for (const pipeline of [one, two]) await pipeline.close();
  }
  for (const pipeline of [one, two]) {
    assertEquals(pipeline.backend.live, { values: 0, sessions: 0 });
  }
}

async function checkCancel(backend: Backend): Promise<void> {
  const pipeline = await open(backend);
  try {
    const { latents } = await pipeline.generate(request);
    const before = pipeline.backend.live;
    const stop = new AbortController();
    const run = pipeline.steps({ ...request, signal: stop.signal });
    assertEquals((await run.next()).done, false);
    stop.abort();
    assertEquals((await assertRejects(() => run.next())).name, "AbortError");
    assertEquals((await run.next()).done, true);
    assertEquals(pipeline.backend.live, before);
    const late = await assertRejects(() => pipeline.generate({ ...request, signal: stop.signal }));
    assertEquals(late.name, "AbortError");
    assertEquals(pipeline.backend.live, before);
    assertEquals((await pipeline.generate(request)).latents, latents);
  } finally {
    await pipeline.close();
  }
  assertEquals(pipeline.backend.live, { values: 0, sessions: 0 });
}

async function checkLeaving(backend: Backend): Promise<void> {
  const pipeline = await open(backend);
  try {
    const { latents } = await pipeline.generate(request);
    const before = pipeline.backend.live;
    for await (const { index } of pipeline.steps(request)) if (index === 1) break;
    assertEquals(pipeline.backend.live, before);
    assertEquals((await pipeline.generate(request)).latents, latents);
  } finally {
    await pipeline.close();
  }
}
