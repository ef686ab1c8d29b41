/** Runs that stay on the GPU: as the host's, and replayed bit by bit. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { narrowDit } from "../../../scripts/make/narrow_models.ts";
import { subjectOf } from "../../../scripts/bench/gpu_subjects.ts";
import type { Command } from "../../../src/backend/gpu/command.ts";
import { openEngine } from "../../../src/engine/engine.ts";
import type { GenerateOptions } from "../../../src/engine/request.ts";
import { requires } from "../../_shim/requires.ts";
import { assertClose } from "../../conformance/compare.ts";
import { EVERY_KIND, planOf } from "./every_kind.ts";

const needs = await requires("runs that stay on the GPU", "webgpu");

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

Deno.test(
  "a plan that keeps what the one before it kept runs steps of its own",
  needs,
  async () => {
    const [gpu, cpu] = await Promise.all(
      (["webgpu", "wasm"] as const).map((backend) =>
        openEngine({ model: narrowDit(), backend, precision: "f32" })
      ),
    );
    const given: GenerateOptions = { labels: [1], output: "latents" };
    for (
      const rows of [[["."], ["r"], ["."]], [["."], ["r."], [".r"]], [["."], ["."], ["r"]]] as const
    ) {
      const options = { ...given, plan: await planOf(cpu!, given, rows) };
      const wanted = (await cpu!.generate(options)).latents;
      const { latents } = await gpu!.generate(options);
      assertClose(latents, wanted, { tolerance: 1e-4, what: rows.join() });
    }
    await gpu!.close();
    await cpu!.close();
  },
);

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

Deno.test("of full steps two are on their way, of steps that do little eight", needs, async () => {
  const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
  const { queue } = engine.backend.gpu!.device;
  const generate: GenerateOptions = { labels: [1], output: "latents", readBack: false };
  let submitted = 0;
  const { onSubmittedWorkDone } = queue;
  queue.onSubmittedWorkDone = () => {
    submitted++;
    return onSubmittedWorkDone.call(queue);
  };
  try {
    for (const [mark, wanted] of [[".", 2], ["r", 8], ["=", 8]] as const) {
      const rows = [".", ...new Array<string>(9).fill(mark)].map((row) => [row] as const);
      const plan = await planOf(engine, generate, rows);
      submitted = 0;
      for await (const { index } of engine.steps({ ...generate, plan })) {
        if (index === 0) assertEquals(submitted, wanted, mark);
      }
      assertEquals(submitted, rows.length);
    }
  } finally {
    queue.onSubmittedWorkDone = onSubmittedWorkDone;
    await engine.close();
  }
});

Deno.test("where shaders of ours give other bits, the runtime's are replayed", needs, async () => {
  const engine = await openEngine({ model: narrowDit(), backend: "webgpu", precision: "f32" });
  const { recorder, device } = engine.backend.gpu!;
  const options: GenerateOptions = { labels: [1], steps: 4, output: "latents", plan: "none" };
  const wanted = (await engine.generate(options)).latents.data;
  await engine.close();
  const again = await openEngine({ model: narrowDit(), backend: "webgpu", precision: "f32" });
  const record = recorder.record.bind(recorder);
  const swapped: Readonly<Record<string, string>> = { x: "gamma", gamma: "x" };
  let norms = 0;
  recorder.record = async (...args) =>
    (await record(...args)).map((command): Command => {
      if (command.kind !== "dispatch" || command.shader.name !== "SkipLayerNorm") return command;
      norms++;
      const groups = command.groups.map(({ layout, bindings }) => ({
        layout,
        bindings: bindings.map((each) => ({ ...each, name: swapped[each.name] ?? each.name })),
      }));
      return { ...command, groups };
    });
  try {
    assertEquals(again.backend.gpu!.device, device); // of the process
    const { latents, notices } = await again.generate(options);
    assertEquals(notices, []);
    assert(norms > 0);
    assert(latents.data.every((value, i) => value === wanted[i]));
  } finally {
    recorder.record = record;
    await again.close();
  }
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
