import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { outputsKept } from "../../src/plan/columns.ts";

Deno.test("outputsKept() keeps an output from where it is made to where it is last weighed", () => {
  const kept = (...weighs: readonly number[]): readonly number[] =>
    outputsKept(weighs.map((count) => ({ weighs: count, makes: true })));
  assertEquals(kept(1, 1, 1), [0, 0, 0]);
  assertEquals(kept(1, 2, 1), [1, 0, 0]);
  assertEquals(kept(1, 1, 3), [1, 2, 0]);
  const [made, forecast] = [{ weighs: 1, makes: true }, { weighs: 1, makes: false }];
  assertEquals(outputsKept([made, forecast, forecast, made]), [1, 1, 0, 0]);
});

Deno.test("outputsKept() has what every later step weighs and no more", () => {
  const uses = fc.array(fc.record({ weighs: fc.nat({ max: 8 }), makes: fc.boolean() }), {
    maxLength: 12,
  });
  fc.assert(fc.property(uses, (steps) => {
    const wanted = steps.map((_, after) => {
      const needs = steps.map(({ weighs }, step) => {
        const between = steps.slice(after + 1, step + 1).filter(({ makes }) => makes).length;
        return step > after ? weighs - between : 0;
      });
      return Math.max(0, ...needs);
    });
    assertEquals(outputsKept(steps), wanted);
  }));
});
