/** Fences on what a step asks of WebGPU: counts are exact, whatever the machine. */
import { assert } from "@std/assert";
import * as library from "../../mod.ts";
import type { GpuCalls } from "../../scripts/bench/gpu_calls.ts";
import { stepKinds, StepMeter } from "../../scripts/bench/gpu_steps.ts";
import { modulesOf, subjectOf } from "../../scripts/bench/gpu_subjects.ts";
import { requires } from "../_shim/requires.ts";

const needs = await requires("calls of WebGPU", "webgpu");

/** By model and kind of step: the most calls that one step may make. */
const MOST: Readonly<Record<string, Readonly<Record<string, Partial<GpuCalls>>>>> = {
  "narrow-dit": {
    full: { dispatches: 335, bindGroups: 335, writes: 337, submits: 22, copies: 2, maps: 1 },
    "all reused": { dispatches: 131, bindGroups: 131, writes: 133, submits: 10, maps: 1 },
    "hidden state": { dispatches: 8, bindGroups: 8, writes: 9, submits: 2, maps: 1 },
  },
  "narrow-flux": {
    full: { dispatches: 544, bindGroups: 544, writes: 546, submits: 35, copies: 2, maps: 1 },
    "all reused": { dispatches: 192, bindGroups: 192, writes: 194, submits: 13, maps: 1 },
  },
};

for (const [model, kinds] of Object.entries(MOST)) {
  Deno.test(`a step of ${model} makes no more calls of WebGPU than it may`, needs, async (test) => {
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
  });
}
