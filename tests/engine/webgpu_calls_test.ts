/** Fences on what a step asks of WebGPU: counts are exact, whatever the machine. */
import { assert } from "@std/assert";
import * as library from "../../mod.ts";
import type { GpuCalls } from "../../scripts/bench/gpu_calls.ts";
import { stepKinds, StepMeter } from "../../scripts/bench/gpu_steps.ts";
import { modulesOf, subjectOf } from "../../scripts/bench/gpu_subjects.ts";
import { requires } from "../_shim/requires.ts";

const needs = await requires("calls of WebGPU", "webgpu");
const half = await requires("calls of WebGPU in float16", "webgpu", "shader-f16");

/** What every step that is replayed makes of other calls. */
const REPLAYED = { bindGroups: 0, writes: 0, submits: 1, copies: 3, maps: 0, buffers: 0 } as const;
/** By model and kind of step: the most calls that one step may make. */
const MOST: Readonly<Record<string, Readonly<Record<string, Partial<GpuCalls>>>>> = {
  "narrow-dit": {
    full: { dispatches: 213, ...REPLAYED },
    "all reused": { dispatches: 10, ...REPLAYED },
    "hidden state": { dispatches: 6, ...REPLAYED },
  },
  // With so few tokens attention takes a third dispatch.
  "narrow-dit-64": { full: { dispatches: 201, ...REPLAYED } },
  // Four casts a block.
  "narrow-dit-64-f16": { full: { dispatches: 249, ...REPLAYED } },
  "narrow-flux": {
    full: { dispatches: 383, ...REPLAYED },
    "all reused": { dispatches: 65, ...REPLAYED },
    "hidden state": { dispatches: 5, ...REPLAYED },
  },
};

for (const [model, kinds] of Object.entries(MOST)) {
  const options = model.endsWith("-f16") ? half : needs;
  Deno.test(
    `a step of ${model} makes no more calls of WebGPU than it may`,
    options,
    async (test) => {
      const meter = await StepMeter.open(library, subjectOf(model));
      try {
        for (const kind of stepKinds(await modulesOf(model))) {
          const most = kinds[kind.name];
          if (most === undefined) continue;
          await test.step(kind.name, async () => {
            const calls = await meter.calls(kind);
            for (const [name, limit] of Object.entries(most)) {
              const count = calls[name as keyof GpuCalls]; // its keys are these
              assert(count <= limit, `${name} must be at most ${limit}: current value is ${count}`);
            }
          });
        }
      } finally {
        await meter.close();
      }
    },
  );
}
