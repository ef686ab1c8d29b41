/** Runs whose segments are the rows of a batch, on a small DiT and a small FLUX. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { openPipeline, type Pipeline } from "../../../mod.ts";
import { engineOf } from "../../../src/engine/engine.ts";
import type { GenerateOptions } from "../../../src/engine/request.ts";
import { PlanError } from "../../../src/errors.ts";
import { mostCalls } from "../../../src/sampler/srds.ts";
import type { Picture } from "../../../src/image/picture.ts";
import { FASHION_DIT } from "../../../scripts/fashion_dit.ts";
import { openSmallFlux } from "../../calibrate/policies/small_flux.ts";

const DIT_A = new URL("../../golden/dit-a/", import.meta.url);
const STEPS = 8;
const EXACT = "srds:segments=4,threshold=0";

/** A model and a request to it. */
interface Subject {
  readonly pipeline: Pipeline;
  readonly asked: GenerateOptions;
}

async function openDit(backend: "wasm" | "native"): Promise<Subject> {
  const pipeline = await openPipeline({ model: DIT_A, backend });
  const asked = { labels: [1, 4], seeds: [5, 6], guidance: 2, steps: STEPS, output: "latents" };
  return { pipeline, asked: { ...asked, output: "latents" } };
}

async function openFlux(): Promise<Subject> {
  const { pipeline, conditions: { labels, noise, given } } = await openSmallFlux();
  return { pipeline, asked: { labels, noise, ...given, steps: STEPS, output: "latents" } };
}

const SUBJECTS: Readonly<Record<string, () => Promise<Subject>>> = {
  "dit-a on wasm": () => openDit("wasm"),
  "dit-a on native": () => openDit("native"),
  "flux-a on wasm": openFlux,
};

/** The largest difference of numbers of two latents. */
function farthest(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

for (const [name, open] of Object.entries(SUBJECTS)) {
  Deno.test(`steps beside each other make the pictures of the steps one after another: ${name}`, async () => {
    const { pipeline, asked } = await open();
    try {
      const full = await pipeline.generate({ ...asked, plan: "none" });
      const { latents, parallel, planReason, plan } = await pipeline.generate({
        ...asked,
        parallel: EXACT,
      });
      // On wasm each row of a batch has the bits that it has alone; on native it may round otherwise.
      const apart = farthest(latents.data, full.latents.data);
      assert(apart <= (name.endsWith("wasm") ? 0 : 1e-5), `${apart}`);
      const each = { rounds: 4, calls: mostCalls({ segments: 4, length: 2 }), evaluations: 30 };
      assertEquals(parallel, { word: EXACT, pictures: asked.labels!.map(() => each) });
      assertEquals([planReason, plan], [`${EXACT} computes steps beside each other`, undefined]);
      assertEquals(engineOf(pipeline).backend.live.values, 0);
    } finally {
      await pipeline.close();
    }
  });
}

Deno.test("each call is reported, with the picture as it is foreseen; one that is stopped leaves nothing", async () => {
  const { pipeline, asked } = await openDit("wasm");
  try {
    const request = { ...asked, parallel: EXACT };
    const prepared = await engineOf(pipeline).prepare(request);
    const total = engineOf(pipeline).stepsOf(prepared);
    assertEquals(total, 2 * mostCalls({ segments: 4, length: 2 }));
    const done: number[] = [];
    let last: Float32Array | undefined;
    for await (const report of pipeline.steps(request)) {
      done.push(report.done);
      assertEquals([report.total, report.steps, report.kind], [total, STEPS, "full"]);
      assertEquals(report.estimate?.dims, [1, 4, 8, 8]);
      last = report.latents?.data;
    }
    assertEquals(done, Array.from({ length: total }, (_, i) => i + 1));
    const { latents } = await pipeline.generate(request);
    assertEquals(farthest(last!, latents.data.slice(last!.length)), 0);

    for await (const { done } of pipeline.steps(request)) if (done === 6) break;
    assertEquals(engineOf(pipeline).backend.live.values, 0);
    const stop = new AbortController();
    await assertRejects(async () => {
      for await (const { done } of pipeline.steps({ ...request, signal: stop.signal })) {
        if (done === 6) stop.abort();
      }
    });
    assertEquals(engineOf(pipeline).backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
});

Deno.test("a threshold ends rounds early, for each picture alone", async () => {
  const { pipeline, asked } = await openDit("wasm");
  try {
    const parallel = "srds:segments=4,threshold=1";
    const both = await pipeline.generate({ ...asked, parallel });
    assertEquals(both.parallel!.pictures.map(({ rounds }) => rounds), [2, 2]);
    const second = await pipeline.generate({ ...asked, labels: [4], seeds: [6], parallel });
    const { data } = second.latents;
    assertEquals(farthest(both.latents.data.slice(data.length), data), 0);
  } finally {
    await pipeline.close();
  }
});

Deno.test("a run from a picture of which a mask keeps a part is cut where it begins", async () => {
  const pipeline = await openPipeline({ model: FASHION_DIT, backend: "wasm" });
  try {
    const gray = (value: (at: number) => number): Picture => ({
      ...{ width: 32, height: 32, channels: 1 },
      pixels: Uint8Array.from({ length: 1024 }, (_, i) => value(i)),
    });
    const edit = { image: gray((i) => i % 200), mask: gray((i) => i < 512 ? 255 : 0) };
    const asked = { ...edit, strength: 2 / 3, labels: [8], steps: 6, output: "latents" } as const;
    const full = await pipeline.generate({ ...asked, plan: "none" });
    const parallel = "srds:segments=2,threshold=0";
    const cut = await pipeline.generate({ ...asked, parallel });
    assertEquals(farthest(cut.latents.data, full.latents.data), 0);
    assertEquals(cut.parallel!.pictures, [{ rounds: 2, calls: 7, evaluations: 9 }]);
  } finally {
    await pipeline.close();
  }
});

Deno.test("what cannot be computed beside each other is refused, by name", async () => {
  const { pipeline, asked } = await openDit("wasm");
  const refused = async (
    options: GenerateOptions,
    error: ErrorConstructor | typeof PlanError,
    message: string,
  ): Promise<void> => {
    await assertRejects(() => pipeline.generate({ ...asked, ...options }), error, message);
  };
  try {
    const parallel = "srds";
    await refused(
      { parallel, plan: "fashion-dit.3x" },
      PlanError,
      "plan must be none beside parallel srds: current value is fashion-dit.3x",
    );
    await refused(
      { parallel, policy: "first-block" },
      TypeError,
      "policy must be none beside parallel srds: current value is first-block",
    );
    await refused(
      { parallel, sampler: "unipc" },
      RangeError,
      "sampler must be ddim beside srds, for others look at the steps before: current value is unipc",
    );
    await refused(
      { parallel: "paradigms" },
      TypeError,
      "parallel must be one of srds: current value is paradigms",
    );
    await refused({ parallel: "srds:rows=3" }, TypeError, "setting of srds must be one of");
    for (
      const [settings, message] of [
        [
          "segments=3",
          "segments of srds must be one of 1, 2, 4, 8 for 8 steps: current value is 3",
        ],
        ["segments=16", "segments of srds must be a whole number in 0 … 10: current value is 16"],
        ["segments=2.5", "segments of srds must be a whole number in 0 … 10: current value is 2.5"],
        ["threshold=-1", "threshold of srds must be a number in 0 … 1: current value is -1"],
        ["threshold=x", "threshold of srds must be a number in 0 … 1: current value is x"],
        ["threshold=", "threshold of srds must be a number in 0 … 1: current value is none"],
      ] as const
    ) await refused({ parallel: `srds:${settings}` }, RangeError, message);
    const { parallel: usual } = await engineOf(pipeline).prepare({
      ...asked,
      parallel,
      plan: "auto",
    });
    assertEquals([usual?.segments, usual?.length], [2, 4]);
  } finally {
    await pipeline.close();
  }
});
