import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { lifetime } from "../../src/plan/liveness.ts";

type Use = Parameters<typeof lifetime>[0][number];

Deno.test("lifetime() keeps as many of the latest results as a later step loads", () => {
  assertEquals(lifetime(["make", 1, "make", 1]), { keptAfter: [1, 0, 1, 0], staleness: 1 });
  assertEquals(lifetime(["make", "make", 2, 1, 0]), { keptAfter: [1, 2, 1, 0, 0], staleness: 2 });
  assertEquals(lifetime(["make", "make", 0, 2]), { keptAfter: [1, 2, 2, 0], staleness: 3 });
  assertEquals(lifetime(["make", "make", "make"]), { keptAfter: [0, 0, 0], staleness: 0 });
});

Deno.test("lifetime() keeps what any loads need, and nothing that none of them needs", () => {
  const uses = fc.array(fc.constantFrom<Use>("make", 0, 1, 2, 3), { maxLength: 12 }).map(loadable);
  fc.assert(fc.property(uses, (uses) => {
    const needed = new Set<string>(); // "result at step"
    const made: number[] = [];
    let oldest = 0;
    for (const [step, use] of uses.entries()) {
      if (use === "make") made.push(step);
      for (const result of use === "make" || use === 0 ? [] : made.slice(-use)) {
        for (let at = result; at < step; at++) needed.add(`${result} at ${at}`);
        oldest = Math.max(oldest, step - result);
      }
    }
    const { keptAfter, staleness } = lifetime(uses);
    assertEquals(staleness, oldest);
    const kept = uses.flatMap((_, step) => {
      const before = made.filter((result) => result <= step);
      return before.slice(before.length - keptAfter[step]!).map((result) => `${result} at ${step}`);
    });
    assertEquals(kept.toSorted(), [...needed].toSorted());
  }));
});

/** Loads no more than was made. */
function loadable(uses: readonly Use[]): readonly Use[] {
  let made = 0;
  return uses.map((use) => {
    if (use !== "make") return Math.min(use, made);
    made++;
    return use;
  });
}
