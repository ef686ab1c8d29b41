import { assertEquals } from "@std/assert";
import {
  type Measured,
  relocate,
  type RelocationOptions,
} from "../../../src/calibrate/fit/relocation.ts";

const BEST = [0, 11, 17, 30];

/** Visits are the better the nearer they are to the best. */
function measure(
  visited: readonly number[],
): Promise<{ visited: readonly number[]; psnr: number }> {
  const distance = visited.reduce((sum, node, i) => sum + Math.abs(node - BEST[i]!), 0);
  return Promise.resolve({ visited, psnr: -distance });
}

function options(changes: Partial<RelocationOptions<Measured>>): RelocationOptions<Measured> {
  const first = { visited: [0, 2, 20, 21], psnr: -27 };
  const starts = [[0, 5, 9, 33]];
  return { first, starts, nodes: 40, trials: 1000, hasTime: () => true, measure, ...changes };
}

Deno.test("relocate() moves visits to where they are best, and the first one never", async () => {
  const { best, tried } = await relocate(options({}));
  assertEquals(best, { visited: BEST, psnr: -0 });
  assertEquals(tried < 100, true);
});

Deno.test("relocate() measures no visits twice, none out of order or beyond the nodes, and at most its trials", async () => {
  for (const trials of [1, 2, 7, 1000]) {
    const seen: string[] = [];
    const done: number[] = [];
    const { tried } = await relocate(options({
      trials,
      nodes: 31,
      measure: (visited) => {
        seen.push(`${visited}`);
        assertEquals(visited[0], 0);
        assertEquals(visited.toSorted((a, b) => a - b), visited);
        assertEquals(visited.at(-1)! < 31 || visited.at(-1) === 33, true); // a start is not checked
        return measure(visited);
      },
      onTrial: (count) => done.push(count),
    }));
    assertEquals(new Set(seen).size, seen.length);
    assertEquals(seen.includes("0,2,20,21"), false); // it was measured before
    assertEquals([1 + seen.length, done.at(-1)], [tried, tried]);
    assertEquals(tried <= trials, true);
  }
});

Deno.test("relocate() stops when there is no more time, with the best so far", async () => {
  let left = 3;
  const { best, tried } = await relocate(options({ hasTime: () => left-- > 0 }));
  assertEquals(tried, 4);
  assertEquals(best.psnr >= -30, true);
});
