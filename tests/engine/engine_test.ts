/** The library as its users call it: what `openPipeline()` and `generate()` promise. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BackendError, openPipeline, PlanError } from "../../mod.ts";
import type { Pipeline, PipelineOptions } from "../../mod.ts";
import { findPlan, loadPlan } from "../../src/engine/bundled_plans.ts";
import { engineOf, openEngine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { toPictures } from "../../src/image/picture.ts";
import { readPngText } from "../../src/image/png_text.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const DIT_A = new URL("../golden/dit-a/", import.meta.url);
const FLUX_A = new URL("../golden/flux-a/", import.meta.url);

async function withPipeline(
  use: (pipeline: Pipeline) => Promise<void>,
  options: PipelineOptions = {},
): Promise<void> {
  const pipeline = await openPipeline({ model: FASHION_DIT, backend: "wasm", ...options });
  try {
    await use(pipeline);
    assertEquals(engineOf(pipeline).backend.live.values, 0);
  } finally {
    await pipeline.close();
  }
}

Deno.test("generate() follows the bundled plan that fits unless told otherwise, and says which", async () => {
  await withPipeline(async (pipeline) => {
    const asked = { label: "Sneaker", seed: 7 };
    const auto = await pipeline.generate(asked);
    assertEquals([auto.plan?.name, auto.steps], ["fashion-dit.4x", 12]);
    const named = await pipeline.generate({ ...asked, plan: "fashion-dit.4x" });
    const given = await pipeline.generate({ ...asked, plan: loadPlan("fashion-dit.4x") });
    for (const { latents } of [named, given]) assertEquals(latents, auto.latents);
    const none = await pipeline.generate({ ...asked, steps: 2, plan: "none" });
    assertEquals([none.plan, none.kinds], [undefined, ["full", "full"]]);
    const other = await pipeline.generate({ ...asked, steps: 3 });
    assertStringIncludes(other.planReason, "no bundled plan fits fashion-dit, ddim, 3 steps");
  });
});

Deno.test("who asks for steps that no plan has is told which plans are as fast; who asks for more than that is not", async () => {
  const engine = await openEngine({ model: FASHION_DIT, backend: "wasm" });
  const noticesOf = async (options: GenerateOptions): Promise<readonly string[]> =>
    (await engine.prepare({ label: 1, ...options })).notices;
  const [said = ""] = await noticesOf({ steps: 12 });
  const faster = "fashion-dit.4x (1.00×), fashion-dit.5x (1.20×), fashion-dit.6x (1.50×)";
  assertStringIncludes(said, `${faster}, fashion-dit.8x (2.00×).`);
  for (const others of [{ plan: "none" }, { sampler: "unipc" }, { policy: "first-block" }]) {
    assertEquals(await noticesOf({ steps: 12, ...others }), []);
  }
  assertEquals([await noticesOf({}), await noticesOf({ steps: 5 })], [[], []]);
  await engine.close();
});

Deno.test("a picture knows its label and seed, and its PNG says how to make it again", async () => {
  await withPipeline(async (pipeline) => {
    const { pictures, latents } = await pipeline.generate({
      label: "Bag",
      seeds: [3, 9],
      steps: 2,
    });
    assertEquals(pictures.map(({ label, seed }) => [label, seed]), [[8, 3], [8, 9]]);
    const wanted = toPictures(await pipeline.decode(latents));
    assertEquals(pictures.map(({ pixels }) => pixels), wanted.map(({ pixels }) => pixels));
    const { invardiff } = await readPngText(await pictures[1]!.png());
    const { labels, seed, steps, guidance } = JSON.parse(invardiff!);
    const again = await pipeline.generate({ labels, seed, steps, guidance });
    assertEquals(again.pictures[0]!.pixels, pictures[1]!.pixels);
  });
});

Deno.test("more pictures than a batch holds are made in several, to the same bits, and counted as one run", async () => {
  await withPipeline(async (pipeline) => {
    const asked = { labels: [1, 4, 2], count: 12, seed: 5, steps: 2 };
    const run = pipeline.steps(asked);
    const seen: number[][] = [];
    let next = await run.next();
    for (; next.done !== true; next = await run.next()) {
      const { first, index, done, total, latents } = next.value;
      seen.push([first, index, done, total, latents!.dims[0]!]);
    }
    assertEquals(seen, [[0, 0, 1, 4, 10], [0, 1, 2, 4, 10], [10, 0, 3, 4, 2], [10, 1, 4, 4, 2]]);
    const { latents, labels, seeds } = next.value;
    assertEquals(labels, [1, 4, 2, 1, 4, 2, 1, 4, 2, 1, 4, 2]);
    assertEquals(seeds.at(-1), 16);
    const alone = await pipeline.generate({ label: 4, seed: 15, steps: 2 });
    assertEquals(sliceRows(latents, 10, 1), alone.latents);
  }, { model: DIT_A });
});

Deno.test("latents that nothing decodes come without pictures, and a notice says why", async () => {
  await withPipeline(async (pipeline) => {
    const { pictures, notices } = await pipeline.generate({ label: 1, steps: 1 });
    assertEquals(pictures, []);
    assertStringIncludes(
      notices[0]!,
      "No pictures: Cannot make pictures: latents of dit-a must have",
    );
    const quiet = await pipeline.generate({ label: 1, steps: 1, output: "latents" });
    assertEquals([quiet.pictures, quiet.notices], [[], []]);
  }, { model: DIT_A });
});

Deno.test("generate() refuses what it cannot do, in one sentence, and the pipeline stays usable", async () => {
  await withPipeline(async (pipeline) => {
    const wrong: readonly (readonly [unknown, { new (message: string): Error }, string])[] = [
      [{ label: 1, labels: [2] }, TypeError, "label must not be given together with labels"],
      [{ label: 1, count: 0 }, RangeError, "count must be an integer in 1 … "],
      [{ label: 1, seeds: [] }, RangeError, "count must be an integer in 1 … "],
      [{ labels: [1, 2], seeds: [1] }, RangeError, "seeds must be 2, one for each picture"],
      [{ label: 1, plan: "fashion-dit.33x" }, PlanError, "fashion-dit.3x"],
      [{ label: 1, plan: {} }, TypeError, 'plan must be "auto", "none", the name'],
      [{ label: 1, plan: 7 }, TypeError, "current value is 7"],
    ];
    for (const [options, type, message] of wrong) {
      const call = () => pipeline.generate(options as GenerateOptions);
      await assertRejects(call, type, message);
    }
    await pipeline.generate({ label: 1, steps: 1 });
  }, { model: DIT_A });
});

Deno.test("openPipeline() takes a location alone, and engineOf() refuses what is not its own", async () => {
  const pipeline = await openPipeline(DIT_A);
  assertEquals(pipeline.model.id, "dit-a");
  await pipeline.close();
  await assertRejects(async () => await Promise.resolve(engineOf({ ...pipeline })), TypeError);
});

Deno.test("a closed pipeline says so, before a first run and after one", async () => {
  for (const runs of [0, 1]) {
    const pipeline = await openPipeline({ backend: "wasm", model: DIT_A });
    for (let run = 0; run < runs; run++) await pipeline.generate({ label: 1, steps: 1 });
    await pipeline.close();
    const call = () => pipeline.generate({ label: 1, steps: 1 });
    await assertRejects(call, BackendError, "Cannot generate: the pipeline is closed.");
  }
});

Deno.test("a model's fingerprint is made once, and not for plans that it could not follow", async () => {
  const engine = await openEngine({ backend: "wasm", model: FLUX_A });
  let samples = 0;
  const fingerprint = engine.model.fingerprint;
  const model = { ...engine.model, fingerprint: () => (samples++, fingerprint()) };
  assertEquals(await findPlan(model), undefined); // plans of its sampler are for other modules
  assertEquals([samples, await fingerprint()], [0, await fingerprint()]);
  await engine.close();
  assertEquals(await fingerprint(), await fingerprint()); // its files are closed
});
