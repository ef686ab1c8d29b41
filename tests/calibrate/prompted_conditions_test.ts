import { assertEquals, assertThrows } from "@std/assert";
import { conditionsOfRuns } from "../../src/calibrate/prompted_conditions.ts";
import { seededConditions } from "../../src/calibrate/task.ts";
import { openEngine } from "../../src/engine/engine.ts";

const at = (path: string): URL => new URL(`../../${path}/`, import.meta.url);

Deno.test("runs of a model that takes prompts begin with those that it says it knows, in turn", async () => {
  const engine = await openEngine({ model: at("models/peeps-flux"), backend: "wasm" });
  try {
    const { labels, noise, seeds, given } = await conditionsOfRuns(engine, { runs: 10, seed: 7 });
    const known = engine.model.prompts!.examples.length;
    assertEquals(labels, Array.from({ length: 10 }, (_, i) => i % known));
    assertEquals(seeds, Array.from({ length: 10 }, (_, i) => 7 + i));
    assertEquals(noise.dims, [10, 256, 32]);
    assertEquals(given?.conditions?.["text"]?.dims[0], known);
    assertThrows(() => seededConditions(engine, { runs: 1, seed: 7 }), RangeError);
  } finally {
    await engine.close();
  }
});

Deno.test("runs of a model that has classes begin with those", async () => {
  const engine = await openEngine({ model: at("tests/golden/dit-a"), backend: "wasm" });
  try {
    const options = { runs: 3, seed: 7 };
    assertEquals(await conditionsOfRuns(engine, options), seededConditions(engine, options));
  } finally {
    await engine.close();
  }
});
