import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { lifetime } from "../../src/plan/liveness.ts";

type Use = Parameters<typeof lifetime>[0][number];

const MAKE: Use = { loads: 0, makes: true };
/** Computes some of the tokens of what it loads. */
const RENEW: Use = { loads: 1, makes: true };

/** A make, or a load of so many. */
function uses(...list: readonly (Use | number)[]): readonly Use[] {
  return list.map((use) => typeof use === "number" ? { loads: use, makes: false } : use);
}

Deno.test("lifetime() keeps as many of the latest results as a later step loads", () => {
  const cases = [
    [uses(MAKE, 1, MAKE, 1), { keptAfter: [1, 0, 1, 0], staleness: 1 }],
    [uses(MAKE, MAKE, 2, 1, 0), { keptAfter: [1, 2, 1, 0, 0], staleness: 2 }],
    [uses(MAKE, MAKE, 0, 2), { keptAfter: [1, 2, 2, 0], staleness: 3 }],
    [uses(MAKE, MAKE, MAKE), { keptAfter: [0, 0, 0], staleness: 0 }],
  ] as const;
  for (const [list, lives] of cases) assertEquals(lifetime(list), lives);
});

Deno.test("what is made of an older result is as old as that, and takes its place", () => {
  const cases = [
    [uses(MAKE, RENEW, 1), { keptAfter: [1, 1, 0], staleness: 2 }],
    [uses(MAKE, RENEW, 2), { keptAfter: [1, 2, 0], staleness: 2 }],
    [uses(MAKE, RENEW, MAKE), { keptAfter: [1, 0, 0], staleness: 1 }],
    [uses(MAKE, 1, RENEW, RENEW), { keptAfter: [1, 1, 1, 0], staleness: 3 }],
  ] as const;
  for (const [list, lives] of cases) assertEquals(lifetime(list), lives);
});

Deno.test("lifetime() keeps what any loads need, and nothing that none of them needs", () => {
  const any = fc.array(fc.constantFrom<Use>(MAKE, RENEW, ...uses(0, 1, 2, 3)), { maxLength: 12 })
    .map(loadable);
  fc.assert(fc.property(any, (uses) => {
    const needed = new Set<string>(); // "result at step"
    const made: { readonly step: number; readonly since: number }[] = [];
    let oldest = 0;
    for (const [step, { loads, makes }] of uses.entries()) {
      let since = step;
      for (const result of loads === 0 ? [] : made.slice(-loads)) {
        for (let at = result.step; at < step; at++) needed.add(`${result.step} at ${at}`);
        since = Math.min(since, result.since);
      }
      oldest = Math.max(oldest, step - since);
      if (makes) made.push({ step, since });
    }
    const { keptAfter, staleness } = lifetime(uses);
    assertEquals(staleness, oldest);
    const kept = uses.flatMap((_, step) => {
      const before = made.filter((result) => result.step <= step);
      return before.slice(before.length - keptAfter[step]!)
        .map((result) => `${result.step} at ${step}`);
    });
    assertEquals(kept.toSorted(), [...needed].toSorted());
  }));
});

/** Loads no more than was made. */
function loadable(uses: readonly Use[]): readonly Use[] {
  let made = 0;
  return uses.map(({ loads, makes }) => {
    const use = { loads: Math.min(loads, made), makes };
    if (makes) made++;
    return use;
  });
}
