/** Batches that a policy decides picture by picture, on a small DiT and a small FLUX. */

import { assert, assertEquals } from "@std/assert";
import { openPipeline, type Pipeline } from "../../../mod.ts";
import type { Values } from "../../../src/engine/device_values.ts";
import { engineOf } from "../../../src/engine/engine.ts";
import type { Generated } from "../../../src/engine/generated.ts";
import { RUN_TIME_POLICIES } from "../../../src/engine/policies/table.ts";
import type { GenerateOptions } from "../../../src/engine/request.ts";
import type { StepKind } from "../../../src/plan/compile.ts";
import { sliceRows } from "../../../src/tensor/rows.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { fluxConditions, fluxPipelineFiles } from "../pipeline_files.ts";
import { openSmallFlux } from "../../calibrate/policies/small_flux.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);
const STEPS = 8;
const PLAIN = "c4=0,c3=0,c2=0,c1=1,c0=0";
const MEASURED = "at.0=1,latent.0=1,time.0=0";

/** A model, a request of several pictures, each of them as a request, and settings under which they differ. */
interface Subject {
  readonly pipeline: Pipeline;
  readonly asked: GenerateOptions;
  readonly alone: readonly GenerateOptions[];
  readonly policies: readonly string[];
  /** Most that a batch may differ, of the largest number. */
  readonly apart: number;
}

async function openDit(backend: "wasm" | "native"): Promise<Subject> {
  const pipeline = await openPipeline({ model: DIT_A, backend });
  const [labels, seeds, guidance] = [[1, 4, 0, 2], [5, 6, 7, 8], [4, 4, 3, 2.5]];
  const common = { steps: STEPS, output: "latents" } as const;
  return {
    pipeline,
    apart: backend === "native" ? 1e-5 : 0, // it does not promise that a batch rounds as each alone
    asked: { ...common, labels, seeds, guidance },
    alone: labels.map((label, i) => ({
      ...{ ...common, labels: [label], seeds: [seeds[i]!] },
      guidance: guidance[i]!,
    })),
    policies: [
      "first-block:threshold=1",
      `teacache:threshold=.55,${PLAIN}`,
      `sencache:threshold=65,start=65,${MEASURED}`,
    ],
  };
}

async function openFlux(): Promise<Subject> {
  const { pipeline, conditions: { labels, noise, given } } = await openSmallFlux();
  const common = { ...given, steps: STEPS, output: "latents" } as const;
  return {
    pipeline,
    apart: 0,
    asked: { ...common, labels, noise },
    alone: labels.map((label, i) => ({
      ...common,
      labels: [label],
      noise: sliceRows(noise, i, 1),
    })),
    policies: [
      "first-block:threshold=.8",
      `teacache:threshold=1,${PLAIN}`,
      `sencache:threshold=1,start=1,${MEASURED}`,
    ],
  };
}

const SUBJECTS: Readonly<Record<string, () => Promise<Subject>>> = {
  "dit-a on wasm": () => openDit("wasm"),
  "dit-a on native": () => openDit("native"),
  "flux-a on wasm": openFlux,
};

for (const [name, open] of Object.entries(SUBJECTS)) {
  Deno.test(`pictures of a batch decide each for itself, and have what each has alone: ${name}`, async () => {
    const { pipeline, asked, alone, policies, apart } = await open();
    try {
      assertEquals(policies.map((word) => word.split(":")[0]), Object.keys(RUN_TIME_POLICIES));
      for (const policy of policies) {
        const { kinds, generated } = await watched(pipeline, { ...asked, policy });
        assert(kinds.some((step) => new Set(step).size > 1), `${policy} decides alike`);
        for (const [i, request] of alone.entries()) {
          const one = await watched(pipeline, { ...request, policy });
          assertEquals(one.kinds.flat(), kinds.map((step) => step[i]!), policy);
          assertEquals(one.generated.policy?.reused[0], generated.policy?.reused[i]);
          const distance = farthest(one.generated.latents, sliceRows(generated.latents, i, 1));
          assert(distance <= apart, `${policy}: ${distance}`);
        }
        assertEquals(generated.kinds, kinds.map(([first]) => first!));
      }
      assertEquals(engineOf(pipeline).backend.live.values, 0);
    } finally {
      await pipeline.close();
    }
  });
}

/** The largest difference, of the largest number. */
function farthest({ data: a }: Tensor, { data: b }: Tensor): number {
  const most = a.reduce((all, value) => Math.max(all, Math.abs(value)), 0);
  return a.reduce((all, value, i) => Math.max(all, Math.abs(value - b[i]!)), 0) / most;
}

/** Runs step by step; by step what each picture did. */
async function watched(
  pipeline: Pipeline,
  options: GenerateOptions,
): Promise<{ readonly kinds: readonly (readonly StepKind[])[]; readonly generated: Generated }> {
  const kinds: (readonly StepKind[])[] = [];
  const run = engineOf(pipeline).steps(options);
  for (let next = await run.next();; next = await run.next()) {
    if (next.done === true) return { kinds, generated: next.value };
    const { kind, kinds: each = [] } = next.value;
    assertEquals(kind, each.every((one) => one === each[0]) ? each[0] : "mixed");
    kinds.push(each);
  }
}

for (const [name, open] of Object.entries(SUBJECTS)) {
  Deno.test(`rows of pictures that reuse are not computed, and no graph is loaded for the others: ${name}`, async () => {
    const { pipeline, asked, policies } = await open();
    try {
      const { backend, executor: { sessions, transformer } } = engineOf(pipeline);
      await pipeline.generate({ ...asked, plan: "none" });
      const { sessions: loaded } = backend.live;
      const run = sessions.run.bind(sessions);
      const last = `${transformer.modules.length - 1}.`;
      let rows = 0;
      sessions.run = async (recipe, inputs, outputs) => {
        if (recipe.key.startsWith(last)) rows += rowsOf(inputs);
        return await run(recipe, inputs, outputs);
      };
      for (const policy of policies) {
        rows = 0;
        const { policy: decided, labels } = await pipeline.generate({ ...asked, policy });
        const reused = decided!.reused.reduce((sum, count) => sum + count, 0);
        assert(reused > 0);
        const each = asked.guidance === undefined ? 1 : 2; // both guided halves
        assertEquals(rows, (labels.length * STEPS - reused) * each, policy);
      }
      assert(backend.live.sessions <= loaded + 2); // adding and subtracting
    } finally {
      await pipeline.close();
    }
  });
}

/** Rows of a module's streams. */
function rowsOf(inputs: Values): number {
  const stream = Object.keys(inputs).find((name) => name.endsWith(".in"))!; // every module has one
  return inputs[stream]!.dims[0]!;
}

Deno.test("more pictures than a batch holds are decided each for itself, too", async () => {
  const pipeline = await openPipeline({ model: DIT_A, backend: "wasm" });
  try {
    const request = { steps: STEPS, output: "latents", policy: "first-block:threshold=1" } as const;
    const labels = Array.from({ length: 12 }, (_, i) => i % 5);
    const seeds = labels.map((_, i) => 5 + i);
    const { policy, latents } = await pipeline.generate({ ...request, labels, seeds });
    assertEquals([policy?.reused.length, latents.dims[0]], [12, 12]);
    assert(new Set(policy!.reused).size > 1);
    for (const i of [9, 10, 11]) {
      const alone = await pipeline.generate({ ...request, label: labels[i]!, seed: seeds[i]! });
      assertEquals(alone.policy?.reused[0], policy?.reused[i]);
      assertEquals(farthest(alone.latents, sliceRows(latents, i, 1)), 0);
    }
  } finally {
    await pipeline.close();
  }
});

Deno.test("edits of a batch are decided each for itself, and with reuse turned off are those in full", async () => {
  const pipeline = await openPipeline({ model: await fluxPipelineFiles(), backend: "wasm" });
  try {
    const pixels = Uint8Array.from({ length: 32 * 48 * 3 }, (_, i) => i * 37);
    const image = { width: 32, height: 48, channels: 3, pixels } as const;
    const mask = { ...image, channels: 1, pixels: pixels.slice(0, 32 * 48) } as const;
    const how = { image, mask, strength: 0.75, steps: STEPS, output: "latents" } as const;
    const asked = { ...await fluxConditions(), ...how };
    const all = { ...asked, labels: [0, 1, 2], seeds: [5, 6, 7] };
    const off = await pipeline.generate({ ...all, policy: "first-block:threshold=0" });
    const full = await pipeline.generate({ ...all, plan: "none" });
    assertEquals(farthest(off.latents, full.latents), 0);
    for (const policy of ["first-block:threshold=.8", `sencache:threshold=1,start=1,${MEASURED}`]) {
      const { latents, policy: decided } = await pipeline.generate({ ...all, policy });
      assert(new Set(decided!.reused).size > 1, `${decided!.reused}`);
      for (const [i, reused] of decided!.reused.entries()) {
        const one = await pipeline.generate({ ...asked, label: i, seed: 5 + i, policy });
        assertEquals(one.policy!.reused, [reused]);
        assertEquals(farthest(one.latents, sliceRows(latents, i, 1)), 0);
      }
    }
  } finally {
    await pipeline.close();
  }
});

for (const at of [0, 1, 2]) {
  Deno.test(`a batch that is cancelled between pictures that differ leaves nothing: policy ${at}`, async () => {
    const { pipeline, asked, policies } = await openFlux();
    try {
      const { backend, executor: { sessions } } = engineOf(pipeline);
      const request = { ...asked, policy: policies[at]! };
      const whole = await pipeline.generate(request);
      const stop = new AbortController();
      const run = sessions.run.bind(sessions);
      const { length: rows } = asked.labels!;
      sessions.run = async (recipe, inputs, outputs) => {
        if (recipe.key.startsWith("3.") && rowsOf(inputs) < rows) stop.abort(); // of a part of the batch
        return await run(recipe, inputs, outputs);
      };
      const { message } = await pipeline.generate({ ...request, signal: stop.signal })
        .then(() => new Error("it ended"), (error: Error) => error);
      assertEquals([message, stop.signal.aborted], [stop.signal.reason?.message, true]);
      assertEquals(backend.live.values, 0);
      sessions.run = run;
      const { latents, policy } = await pipeline.generate(request);
      assertEquals([policy, farthest(latents, whole.latents)], [whole.policy, 0]);
    } finally {
      await pipeline.close();
    }
  });
}
