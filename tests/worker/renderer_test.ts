/** One suite for every renderer: on this thread, and in a worker. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openEngine } from "../../src/engine/engine.ts";
import { AssetError, BackendError, PlanError } from "../../src/errors.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { zeros } from "../../src/tensor/tensor.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { openRemoteRenderer, type WorkerPort } from "../../src/worker/remote_renderer.ts";
import type { Batch, Renderer, RenderStep } from "../../src/worker/renderer.ts";
import { fluxConditions, fluxPipelineFiles, pipelineFiles } from "../engine/pipeline_files.ts";
import { LetterEncoder } from "../engine/letter_encoder.ts";
import { promptFiles } from "../engine/text/prompt_pipeline.ts";
import { requires } from "../_shim/requires.ts";

const MODEL = new URL("../golden/dit-a/", import.meta.url).href;
const BATCH: Batch = {
  pictures: [{ label: 1, seed: 8, guidance: 4 }, { label: 2, seed: 3, guidance: 1.5 }],
  steps: 3,
};
const ModuleWorker = Worker; // before onnxruntime-web replaces the global
const OPENERS = { local: openLocalRenderer, remote: openRemoteRenderer } as const;

Deno.test("a renderer draws each prompt of a batch as it is drawn alone, and says how much of it was read", async () => {
  const promptEncoder = new LetterEncoder();
  const options = { model: await fluxPipelineFiles(), backend: "wasm", promptEncoder } as const;
  const renderer = await openLocalRenderer(options);
  const { takesPrompts, classes } = renderer.facts;
  assertEquals([takesPrompts, classes], [true, 0]);
  const pictures = [
    { prompt: { prompt: "a tower", prompt2: "a tower of ivory" }, seed: 5, guidance: 3.5 },
    { prompt: { prompt: "two boats in the fog" }, seed: 9, guidance: 2 },
  ];
  const both = await renderer.render({ pictures, steps: 1 });
  assertEquals(both.tokens?.map(([counted]) => counted?.tokens), [7, 20]);
  assertEquals(both.notices, []); // what is too long is told to whom it belongs
  const alone = await renderer.render({ pictures: pictures.slice(1), steps: 1 });
  assertEquals(alone.latents.data, both.latents.data.slice(both.latents.data.length / 2));
  await renderer.close();
});

Deno.test("a renderer loads its model when it is opened, unless prompts are encoded before it", async () => {
  const model = await promptFiles();
  const conditions = { text: zeros([1, 4, 48]), pooled: zeros([1, 48]) };
  for (const [given, isLoaded] of [[{ conditions }, true], [{}, false]] as const) {
    const renderer = await openLocalRenderer({ model, backend: "wasm", ...given });
    assertEquals((await renderer.counts()).sessions > 0, isLoaded);
    await renderer.close();
  }
});

for (const [name, open] of Object.entries(OPENERS)) {
  Deno.test(`a ${name} renderer tells how far it is before its first step`, async () => {
    const renderer = await open({ model: await promptFiles(), backend: "wasm" });
    const told: string[] = [];
    const pictures = [{ prompt: { prompt: "ab c" }, seed: 5, guidance: 3 }];
    await renderer.render({ pictures, steps: 1 }, {
      onPreparing: ({ what, done, total }) => told.push(`${what} ${done === total}`),
      onStep: ({ index }) => told.push(`step ${index}`),
    });
    assertEquals([...new Set(told)], [
      ...["prompts false", "prompts true", "graphs false", "graphs true", "step 0"],
    ]);
    await renderer.close();
  });

  Deno.test(`a ${name} renderer draws what the pipeline draws for each seed alone`, async () => {
    const pipeline = await openEngine({ model: MODEL, backend: "wasm" });
    const wanted: number[] = [];
    for (const { label, seed, guidance } of BATCH.pictures) {
      const { latents } = await pipeline.generate({ label: label!, seed, guidance, steps: 3 });
      wanted.push(...latents.data);
    }
    await pipeline.close();
    await withRenderer(open, async (renderer) => {
      const { latents, loopSeconds, peakFeatureBytes } = await renderer.render(BATCH);
      assertEquals(latents.dims, [2, 4, 8, 8]);
      assertEquals([...latents.data], wanted);
      assert(loopSeconds > 0);
      assertEquals(peakFeatureBytes, 0);
    });
  });

  Deno.test(`a ${name} renderer tells every step, with a rough look where previews are asked for`, async () => {
    const renderer = await open({ model: await pipelineFiles(), backend: "wasm" });
    assertEquals(renderer.facts.picture, [3, 32, 32]);
    const seen: RenderStep[] = [];
    const onStep = (step: RenderStep): void => void seen.push(step);
    const { pictures } = await renderer.render(BATCH, { previews: true, onStep });
    assertEquals(seen.map(({ index, steps, kind }) => [index, steps, kind]), [
      [0, 3, "full"],
      [1, 3, "full"],
      [2, 3, "full"],
    ]);
    assertEquals([seen[2]?.preview?.dims, pictures?.dims], [[2, 3, 8, 8], [2, 3, 32, 32]]);
    seen.length = 0;
    const again = await renderer.render(BATCH, { onStep });
    assert(seen.length === 3 && seen.every(({ preview }) => preview === undefined));
    assertEquals(again.pictures, pictures);
    await renderer.close();
  });

  Deno.test(`a ${name} renderer lets a policy decide for each picture of a batch`, async () => {
    const policy = "first-block:threshold=1";
    const renderer = await open({ model: await pipelineFiles(), backend: "wasm" });
    assertEquals(renderer.facts.policies, ["first-block", "teacache", "sencache"]);
    const seen: RenderStep[] = [];
    const onStep = (step: RenderStep): void => void seen.push(step);
    const made = await renderer.render({ ...BATCH, policy }, { previews: true, onStep });
    assertEquals(seen.map(({ index, steps }) => [index, steps]), [[0, 3], [1, 3], [2, 3]]);
    assert(seen.every(({ preview, kinds }) => preview?.dims[0] === 2 && kinds?.length === 2));
    const mixed = [0, 1].map((picture) =>
      seen.filter(({ kinds }) => kinds?.[picture] === "mixed").length
    );
    assertEquals(made.reused, mixed);
    const [one] = BATCH.pictures;
    const alone = await renderer.render({ ...BATCH, pictures: [one!], policy });
    const { length } = alone.latents.data;
    assert(alone.latents.data.every((value, i) => value === made.latents.data[i]));
    assertEquals([alone.reused, made.latents.data.length], [mixed.slice(0, 1), 2 * length]);
    seen.length = 0;
    assertEquals((await renderer.render(BATCH, { onStep })).reused, undefined);
    assert(seen.every(({ kinds }) => kinds === undefined));
    await renderer.close();
  });

  Deno.test(`a ${name} renderer of text draws the conditions that it was opened with`, async () => {
    const conditions = { ...await fluxConditions(), names: ["a tower", "two boats", "fog"] };
    const renderer = await open({ model: await fluxPipelineFiles(), backend: "wasm", conditions });
    const { classes, classNames, latent, picture } = renderer.facts;
    assertEquals([classes, classNames[1], latent, picture], [
      3,
      "two boats",
      [4, 12, 8],
      [3, 48, 32],
    ]);
    const batch = {
      ...BATCH,
      pictures: [{ label: 2, seed: 5, guidance: 3.5 }, { label: 0, seed: 9, guidance: 2 }],
    };
    const { latents, pictures } = await renderer.render(batch);
    assertEquals([latents.dims, pictures?.dims], [[2, 24, 16], [2, 3, 48, 32]]);
    const alone = await renderer.render({ ...batch, pictures: batch.pictures.slice(1) });
    assertEquals(alone.pictures?.data, pictures?.data.slice(3 * 48 * 32));
    await renderer.close();
    await assertRejects(() => open({ model: MODEL, backend: "wasm", conditions }), RangeError);
  });

  Deno.test(`a ${name} renderer that is stopped rejects with the reason and draws the next batch`, async () => {
    await withRenderer(open, async (renderer) => {
      await renderer.render(BATCH); // loads what all runs share
      const before = await renderer.counts();
      const stop = new AbortController();
      const reason = new Error("enough");
      const onStep = ({ index }: RenderStep): void => {
        if (index === 1) stop.abort(reason);
      };
      const long = { ...BATCH, steps: 1000 };
      const error = await assertRejects(() =>
        renderer.render(long, { onStep, signal: stop.signal })
      );
      assertEquals(error, reason);
      await renderer.render(BATCH);
      assertEquals(await renderer.counts(), before);
    });
  });

  Deno.test(`a ${name} renderer refuses what does not fit with the library's own errors`, async () => {
    await withRenderer(open, async (renderer) => {
      const [picture] = BATCH.pictures;
      await assertRejects(
        () => renderer.render({ ...BATCH, pictures: [{ ...picture!, label: 7 }] }),
        RangeError,
        "label must be an index in 0 … 6",
      );
      const plan = { modules: ["foreign"], architecture: "other" } as unknown as Plan;
      await assertRejects(() => renderer.render({ ...BATCH, plan }), PlanError, "architecture");
      await assertRejects(
        () => renderer.render({ ...BATCH, plan, policy: "teacache" }),
        PlanError,
        "plan must be none beside policy teacache: current value is a plan",
      );
      await assertRejects(
        () => renderer.render({ ...BATCH, policy: "teacash" }),
        TypeError,
        "policy must be one of",
      );
    });
    await assertRejects(() => open({ model: `${MODEL}nothing/` }), AssetError);
  });
}

for (const backend of ["native", "webgpu"] as const) {
  Deno.test({
    ...await requires(`rendering on ${backend} in a worker`, backend),
    name: `a worker draws on ${backend} what this thread draws`,
    fn: async () => {
      const drawn: Float32Array[] = [];
      for (const open of Object.values(OPENERS)) {
        const renderer = await open({ model: MODEL, backend });
        drawn.push((await renderer.render(BATCH)).latents.data);
        await renderer.close();
      }
      assertEquals(drawn[0], drawn[1]);
    },
  });
}

Deno.test("a worker that fails to start, or ends, is a BackendError for whoever waits", async () => {
  const broken = new URL("data:text/javascript,throw new Error('no luck')");
  const createWorker = (): WorkerPort => new ModuleWorker(broken, { type: "module" });
  await assertRejects(
    () => openRemoteRenderer({ createWorker }),
    BackendError,
    "Cannot use the worker",
  );
  let worker: WorkerPort | undefined;
  const renderer = await openRemoteRenderer({
    model: MODEL,
    backend: "wasm",
    createWorker: () => worker = workerOfEntry(),
  });
  await renderer.close();
  await renderer.close(); // a second call does nothing
  await assertRejects(() => renderer.render(BATCH), BackendError, "it is closed");
  assert(worker !== undefined);
});

Deno.test("opening a worker can be stopped", async () => {
  const stop = new AbortController();
  const reason = new Error("changed my mind");
  const opening = openRemoteRenderer({
    model: MODEL,
    backend: "wasm",
    signal: stop.signal,
    onLoaded: () => stop.abort(reason),
  });
  assertEquals(await assertRejects(() => opening), reason);
});

function workerOfEntry(): WorkerPort {
  return new ModuleWorker(new URL("../../src/worker/entry.ts", import.meta.url), {
    type: "module",
  });
}

async function withRenderer(
  open: (typeof OPENERS)[keyof typeof OPENERS],
  use: (renderer: Renderer) => Promise<void>,
): Promise<void> {
  const renderer = await open({ model: MODEL, backend: "wasm" });
  try {
    await use(renderer);
  } finally {
    await renderer.close();
  }
}
