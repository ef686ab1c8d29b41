/** Fences on what a step asks of WebGPU: counts are exact, whatever the machine. */
import { assert, assertEquals } from "@std/assert";
import * as library from "../../mod.ts";
import type { GpuCalls } from "../../scripts/bench/gpu_calls.ts";
import { forecastKind, stepKinds, StepMeter } from "../../scripts/bench/gpu_steps.ts";
import { subjectOf, transformerOf } from "../../scripts/bench/gpu_subjects.ts";
import { findAdapter } from "../../src/backend/adapter.ts";
import { requires } from "../_shim/requires.ts";

const needs = await requires("calls of WebGPU", "webgpu");
const half = await requires("calls of WebGPU in float16", "webgpu", "shader-f16");

/** What every step that is replayed makes of other calls: whatever the adapter. */
const REPLAYED = {
  ...{ bindGroups: 0, writes: 0, submits: 1, copies: 3, maps: 0 },
  ...{ pipelines: 0, buffers: 0, destroyed: 0 },
} as const;
/** By model and kind of step: dispatches, as llvmpipe counts them; elsewhere attention may take fewer. */
const DISPATCHES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "narrow-dit": {
    ...{ full: 124, "half reused": 100, "all reused": 6, "hidden state": 3, residual: 5 },
  },
  "narrow-dit-64": { full: 124 },
  "narrow-dit-64-f16": { full: 124 }, // casts are part of the dispatches around norms
  "narrow-flux-f16": { full: 296 },
  "narrow-flux": {
    ...{ full: 260, "half reused": 192, "all reused": 44, "hidden state": 3, residual: 4 },
  },
};
const isFallback = (await findAdapter())?.fallback === true;

for (const [model, kinds] of Object.entries(DISPATCHES)) {
  const options = model.endsWith("-f16") ? half : needs;
  Deno.test(
    `a step of ${model} makes the calls of WebGPU that it must, and no others`,
    options,
    async (test) => {
      const meter = await StepMeter.open(library, subjectOf(model));
      try {
        for (const kind of stepKinds((await transformerOf(model)).modules.length)) {
          const most = kinds[kind.name];
          if (most === undefined) continue;
          await test.step(kind.name, async () => {
            const { dispatches, ...others }: GpuCalls = await meter.calls(kind);
            assertEquals(others, REPLAYED);
            if (isFallback) assertEquals(dispatches, most);
            assert(dispatches <= most, `${dispatches} of ${most} dispatches`);
          });
        }
      } finally {
        await meter.close();
      }
    },
  );
}

Deno.test(
  "a step that calls no model asks WebGPU for its update alone, and reads nothing back",
  needs,
  async () => {
    const meter = await StepMeter.open(library, subjectOf("narrow-dit"));
    try {
      const { modules: { length } } = await transformerOf("narrow-dit");
      const { dispatches, copies, ...others }: GpuCalls = await meter.calls(forecastKind(length));
      const { copies: _, ...replayed } = REPLAYED;
      assertEquals(others, replayed);
      assert(dispatches <= 3 && copies <= 3, `${dispatches} dispatches, ${copies} copies`);
    } finally {
      await meter.close();
    }
  },
);
