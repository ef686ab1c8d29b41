import { assertEquals, assertThrows } from "@std/assert";
import { conditionsOfRuns } from "../../src/calibrate/prompted_conditions.ts";
import { seededConditions } from "../../src/calibrate/task.ts";
import { openEngine } from "../../src/engine/engine.ts";

const at = (path: string): URL => new URL(`../../${path}/`, import.meta.url);

Deno.test("runs of a model that takes prompts have those that it says it knows, then phrases by lot", async () => {
  const engine = await openEngine({ model: at("models/peeps-flux"), backend: "wasm" });
  try {
    const { labels, noise, seeds, given } = await conditionsOfRuns(engine, { runs: 10, seed: 7 });
    const known = engine.model.prompts!.examples.length;
    assertEquals([known, labels], [8, Array.from({ length: 10 }, (_, i) => i)]);
    assertEquals(seeds, Array.from({ length: 10 }, (_, i) => 7 + i));
    assertEquals(noise.dims, [10, 256, 32]);
    const { dims, data } = given!.conditions!["text"]!;
    assertEquals(dims[0], 10);
    const rows = Array.from(
      { length: 10 },
      (_, i) => `${data.subarray(i * data.length / 10).slice(0, data.length / 10)}`,
    );
    assertEquals(new Set(rows).size, 10); // no prompt twice
    const again = await conditionsOfRuns(engine, { runs: 9, seed: 7 });
    assertEquals(again.given!.conditions!["text"]!.data, data.slice(0, 9 * data.length / 10));
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
