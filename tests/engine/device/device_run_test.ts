/** Runs that stay on the GPU: as the host's, replayed bit by bit, and leaving nothing behind. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { narrowDit } from "../../../scripts/make/narrow_models.ts";
import { subjectOf } from "../../../scripts/bench/gpu_subjects.ts";
import { type Engine, openEngine } from "../../../src/engine/engine.ts";
import { planTarget } from "../../../src/engine/plan_facts.ts";
import { type GenerateOptions, resolveRequest } from "../../../src/engine/request.ts";
import { MOST_STAGES } from "../../../src/engine/device/stages.ts";
import { BackendError } from "../../../src/errors.ts";
import { makePlan } from "../../../src/plan/fit.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { rowsOf } from "../../plan/example_plans.ts";
import { requires } from "../../_shim/requires.ts";
import { assertClose } from "../../conformance/compare.ts";

const needs = await requires("runs that stay on the GPU", "webgpu");
/** Rows that are repeated over all modules, and the weights of their forecasts; each kind of step comes again. */
const EVERY_KIND: readonly (readonly [row: string, weights?: readonly number[]])[] = [
  ...[["."], ["."], ["="], ["r"], [".r"], ["+"], ["rr."], ["r"], ["."]] as const,
  ...[["x", [1.5, -0.5]], [".xr", [0.5, 0.25, 0.25]], ["x", [1.25, -0.25]]] as const,
];

/** A plan for a model; each row is repeated over all modules. */
async function planOf(
  { model }: Engine,
  given: GenerateOptions,
  rowsAndWeights: typeof EVERY_KIND,
): Promise<Plan> {
  const texts = rowsAndWeights.map(([text]) => text);
  const features = rowsAndWeights.map(([, weights]) => weights === undefined ? null : [weights]);
  const request = resolveRequest(model, { ...given, steps: texts.length });
  const { sampler: { times }, scene, guidance } = request;
  const { length } = scene.transformer.modules;
  const rows = texts.map((text) =>
    "=+".includes(text) ? text : text.repeat(length).slice(0, length)
  );
  const target = await planTarget(model, { times, guidance, tokenGrid: scene.tokenGrid });
  const plan = makePlan(target, rowsOf(rows, target.modules), {
    policy: { name: "hand", parameters: {} },
  });
  return { ...plan, columns: { features } };
}

for (const name of ["narrow-dit", "narrow-flux"]) {
  Deno.test(
    `every kind of step of ${name} on the GPU gives the host's latents, and its replay the same bits`,
    needs,
    async () => {
      const { open, generate } = subjectOf(name);
      const gpu = await openEngine({ ...open, backend: "webgpu", precision: "f32" });
      const cpu = await openEngine({ ...open, backend: "wasm", threads: 1 });
      try {
        const options: GenerateOptions = {
          ...generate,
          output: "latents",
          plan: await planOf(cpu, generate, EVERY_KIND),
        };
        const wanted = await cpu.generate(options);
        const first = await gpu.generate(options); // by the runtime
        assertClose(first.latents, wanted.latents, { tolerance: 1e-4, what: "latents" });
        for (const run of ["recorded", "replayed"]) {
          const { latents, notices, preparationSeconds } = await gpu.generate(options);
          assertEquals(latents.data, first.latents.data, run);
          assertEquals(notices, []);
          assert(preparationSeconds < first.preparationSeconds);
        }
        const seen: Float32Array[] = [];
        for await (const { latents } of gpu.steps(options)) seen.push(latents!.data);
        assertEquals(seen.at(-1), first.latents.data);
        assertEquals(seen.length, EVERY_KIND.length);
      } finally {
        await gpu.close();
        await cpu.close();
      }
      assertEquals(gpu.backend.live, { values: 0, sessions: 0 });
    },
  );
}

Deno.test("runs at the same time do not get into each other's recordings", needs, async () => {
  const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
  const options: GenerateOptions = { labels: [1], output: "latents", plan: "none" };
  try {
    for (let round = 0; round < 3; round++) {
      const runs = await Promise.all(
        [3, 4, 5].map((steps) => engine.generate({ ...options, steps })),
      );
      for (const { latents, steps, notices } of runs) {
        assertEquals(notices, []);
        const alone = await engine.generate({ ...options, steps });
        assertEquals(latents.data, alone.latents.data);
      }
    }
  } finally {
    await engine.close();
  }
});

Deno.test("what cannot be replayed runs as before, with a notice", needs, async () => {
  const plain = await openEngine({ model: narrowDit(), backend: "webgpu" });
  const options: GenerateOptions = { labels: [1], steps: 4, output: "latents", plan: "none" };
  const wanted = (await plain.generate(options)).latents.data;
  await plain.close();
  const faults: Readonly<Record<string, (commands: readonly never[]) => readonly never[]>> = {
    "Steps are not replayed: its replay differs from its run in": (commands) =>
      commands.slice(0, -1),
    "Steps are not replayed: no luck.": () => {
      throw new Error("no luck");
    },
  };
  for (const [notice, fault] of Object.entries(faults)) {
    const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
    const { recorder } = engine.backend.gpu!;
    const record = recorder.record.bind(recorder);
    recorder.record = async (...args) => fault(await record(...args) as never[]);
    try {
      const { latents, notices } = await engine.generate(options);
      assertEquals(latents.data, wanted);
      assert(notices[0]?.startsWith(notice), notices[0]);
    } finally {
      recorder.record = record;
      await engine.close();
    }
  }
});

Deno.test("a shape whose run failed is built again by the next run", needs, async () => {
  const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
  const options: GenerateOptions = { labels: [1], steps: 2, output: "latents", plan: "none" };
  const { recorder } = engine.backend.gpu!;
  const record = recorder.record.bind(recorder);
  recorder.record = () => {
    recorder.record = record;
    throw new Error("out of luck"); // in the runtime's call, which spoils the session
  };
  try {
    await assertRejects(() => engine.generate(options), BackendError, "out of luck");
    const { latents, notices } = await engine.generate(options);
    assertEquals(notices, []);
    assertEquals((await engine.generate(options)).latents.data, latents.data);
  } finally {
    recorder.record = record;
    await engine.close();
  }
  assertEquals(engine.backend.live, { values: 0, sessions: 0 });
});

Deno.test("a run that is left or stopped spoils nothing", needs, async () => {
  const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
  const options: GenerateOptions = { labels: [1], steps: 6, output: "latents", plan: "none" };
  try {
    const wanted = (await engine.generate(options)).latents.data;
    for await (const { index } of engine.steps(options)) if (index === 2) break;
    const stop = new AbortController();
    await assertRejects(
      async () => {
        for await (
          const { index } of engine.steps({ ...options, readBack: false, signal: stop.signal })
        ) {
          assert(index < 3, "at most two steps after the signal");
          if (index === 1) stop.abort(new Error("enough"));
        }
      },
      Error,
      "enough",
    );
    assertEquals((await engine.generate(options)).latents.data, wanted);
    const both = await Promise.all([engine.generate(options), engine.generate(options)]);
    for (const { latents } of both) assertEquals(latents.data, wanted);
  } finally {
    await engine.close();
  }
});

Deno.test(
  "a device that is lost ends runs with a clear error, and who opens again gets another",
  needs,
  async () => {
    const options: GenerateOptions = { labels: [1], steps: 6, output: "latents", plan: "none" };
    const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
    const wanted = (await engine.generate(options)).latents.data;
    const { device } = engine.backend.gpu!;
    const lost = /Cannot compute on the GPU: its device was lost .*Open the pipeline again/;
    await assertRejects(
      async () => {
        for await (const { index } of engine.steps({ ...options, readBack: false })) {
          if (index === 2) device.destroy();
        }
      },
      BackendError,
      lost.source.slice(0, 46),
    );
    await device.lost;
    assertMatch((await assertRejects(() => engine.generate(options), BackendError)).message, lost);
    await engine.close();
    assertEquals(engine.backend.live, { values: 0, sessions: 0 });
    const again = await openEngine({ model: narrowDit(), backend: "webgpu" });
    try {
      assertEquals((await again.generate(options)).latents.data, wanted);
    } finally {
      await again.close();
    }
  },
);

Deno.test("the shape that was not used for longest is freed", needs, async () => {
  const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
  try {
    const before = engine.backend.live;
    let most = 0;
    for (let count = 1; count <= MOST_STAGES + 2; count++) {
      await engine.generate({ label: 1, count, steps: 1, output: "latents", plan: "none" });
      most = Math.max(most, engine.backend.live.sessions - before.sessions);
    }
    const { conditioning: { groups } } = engine.model.transformer;
    assertEquals(most, MOST_STAGES + groups.length + 1); // one kind of step each; what conditions all of them
  } finally {
    await engine.close();
  }
  assertEquals(engine.backend.live, { values: 0, sessions: 0 });
});
