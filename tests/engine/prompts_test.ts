import { assertEquals, assertRejects } from "@std/assert";
import { openEngine } from "../../src/engine/engine.ts";
import type { PromptEncoder } from "../../src/engine/prompts.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { joinRows } from "../../src/tensor/rows.ts";

const FLUX_A = new URL("../golden/flux-a/", import.meta.url);

/** Noise whose seed is the prompt's length. */
const encoder: PromptEncoder = {
  encode: (prompts) =>
    Promise.resolve({
      text: joinRows(prompts.map(({ length }) => normalNoise([1, 2, 24], length))),
      pooled: joinRows(prompts.map(({ length }) => normalNoise([1, 20], length))),
    }),
};

Deno.test("prompts give the pictures that their features give, through the pipeline's encoder", async () => {
  const pipeline = await openEngine({ backend: "wasm", model: FLUX_A, promptEncoder: encoder });
  const prompts = ["a cat", "a dog on a boat"];
  const options = { grid: [2, 3] as const, steps: 2, seed: 5 };
  const encoded = await encoder.encode(prompts, {});
  const wanted = await pipeline.generate({ ...options, ...encoded });
  const { latents } = await pipeline.generate({ ...options, prompts });
  assertEquals(latents, wanted.latents);
  await assertRejects(
    () => pipeline.generate({ ...options, prompts, text: encoded["text"] }),
    TypeError,
    "prompts must not be given together with text or pooled",
  );
  await assertRejects(
    () => pipeline.generate({ ...options, prompts, conditions: encoded }),
    TypeError,
    "prompts must not be given together with text or pooled",
  );
  const named = await pipeline.generate({ ...options, conditions: encoded });
  assertEquals(named.latents, wanted.latents);
  await pipeline.close();
});

Deno.test("prompts without an encoder are refused", async () => {
  const pipeline = await openEngine({ backend: "wasm", model: FLUX_A });
  await assertRejects(
    () => pipeline.generate({ prompts: ["a cat"] }),
    TypeError,
    "prompts need a promptEncoder of the pipeline",
  );
  await pipeline.close();
});
