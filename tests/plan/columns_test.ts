import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { outputsKept } from "../../src/plan/columns.ts";

Deno.test("outputsKept() keeps an output from where it is made to where it is last weighed", () => {
  assertEquals(outputsKept([1, 1, 1]), [0, 0, 0]);
  assertEquals(outputsKept([1, 2, 1]), [1, 0, 0]);
  assertEquals(outputsKept([1, 1, 3]), [1, 2, 0]);
});

Deno.test("outputsKept() has what every step weighs and no more", () => {
  const weighed = fc.array(fc.nat({ max: 8 }), { maxLength: 12 })
    .map((counts) => counts.map((count, step) => Math.min(count, step + 1)));
  fc.assert(fc.property(weighed, (outputs) => {
    const kept = outputsKept(outputs);
    const wanted = outputs.map((_, after) =>
      outputs.reduce(
        (most, count, step) => step > after ? Math.max(most, count - (step - after)) : most,
        0,
      )
    );
    assertEquals(kept, wanted);
  }));
});
