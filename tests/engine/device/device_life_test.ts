/** What runs hold on the GPU, and what becomes of them when it fails. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { narrowDit } from "../../../scripts/make/narrow_models.ts";
import { countGpuCalls } from "../../../scripts/bench/gpu_calls.ts";
import { openEngine } from "../../../src/engine/engine.ts";
import type { GenerateOptions } from "../../../src/engine/request.ts";
import { MOST_STAGES } from "../../../src/engine/device/stages.ts";
import { memoryReport } from "../../../src/engine/memory/report.ts";
import { BackendError } from "../../../src/errors.ts";
import { requires } from "../../_shim/requires.ts";
import { EVERY_KIND, planOf } from "./every_kind.ts";

const needs = await requires("what runs hold on the GPU", "webgpu");

Deno.test(
  "what a plan keeps on the GPU is predicted: a place for all that it ever keeps",
  needs,
  async () => {
    const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
    try {
      const given: GenerateOptions = { labels: [1, 2], output: "latents" };
      const plan = await planOf(engine, given, EVERY_KIND);
      const { peakFeatureBytes } = await engine.generate({ ...given, plan });
      const { backends, run } = memoryReport(engine.model, { pictures: 2, plan });
      const { features } = backends.find(({ name }) => name === "webgpu")!;
      assertEquals(features, peakFeatureBytes);
      assert(features > run.features, "more than what lives at any moment");
    } finally {
      await engine.close();
    }
  },
);

Deno.test(
  "opening, running, stopping and closing again and again leaves no buffer behind",
  needs,
  async () => {
    const read = countGpuCalls();
    const left: number[] = [];
    for (let time = 0; time < 4; time++) {
      const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
      const given: GenerateOptions = { labels: [1], output: "latents" };
      const plan = await planOf(engine, given, EVERY_KIND);
      for (let run = 0; run < 3; run++) await engine.generate({ ...given, plan });
      for await (const { index } of engine.steps({ ...given, plan })) if (index === 2) break;
      await engine.close();
      const { buffers, destroyed } = read();
      left.push(buffers - destroyed);
    }
    assertEquals(left[3], left[2], `${left}`); // the runtime keeps those of the first for the others
  },
);

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

Deno.test(
  "what the device refuses fails the run with a clear error, and the next one is whole",
  needs,
  async () => {
    const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
    const options: GenerateOptions = { labels: [1], steps: 6, output: "latents", plan: "none" };
    const { device } = engine.backend.gpu!;
    const faults: Readonly<Record<string, () => void>> = {
      "Cannot compute on the GPU: it has no memory left (none)": () => {
        const error = new GPUOutOfMemoryError("none");
        device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
      },
      "Cannot compute on the GPU: it refused a command (Buffer size": () => {
        device.createBuffer({ size: 2 ** 50, usage: 0x80 });
      },
    };
    try {
      const wanted = (await engine.generate(options)).latents.data;
      for (const [message, fault] of Object.entries(faults)) {
        await assertRejects(
          async () => {
            for await (const { index } of engine.steps({ ...options, readBack: false })) {
              if (index === 1) fault();
            }
          },
          BackendError,
          message,
        );
        assertEquals((await engine.generate(options)).latents.data, wanted);
      }
    } finally {
      await engine.close();
    }
    assertEquals(engine.backend.live, { values: 0, sessions: 0 });
  },
);

Deno.test("the shape that was not used for longest is freed", needs, async () => {
  const engine = await openEngine({ model: narrowDit(), backend: "webgpu" });
  try {
    const drawn = async (count: number): Promise<number> => {
      const options = { label: 1, count, steps: 1, output: "latents", plan: "none" } as const;
      return (await engine.generate(options)).preparationSeconds;
    };
    const { conditioning: { groups } } = engine.model.transformer;
    const always = groups.length + 1; // what conditions every run
    const live: number[] = [];
    for (let count = 1; count <= MOST_STAGES + 2; count++) {
      await drawn(count);
      live.push(engine.backend.live.sessions - always); // one kind of step each
    }
    assertEquals(live, [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]);
    const known = await drawn(3);
    assertEquals(engine.backend.live.sessions, always + MOST_STAGES);
    const again = await drawn(1); // the first was freed
    assertEquals(engine.backend.live.sessions, always + MOST_STAGES);
    assert(known < again / 10, `prepared in ${known} s and ${again} s`);
  } finally {
    await engine.close();
  }
  assertEquals(engine.backend.live, { values: 0, sessions: 0 });
});
