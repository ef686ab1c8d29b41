/**
 * Where to put a given number of full steps so that the expected final error is least.
 */

import type { ReuseErrors } from "./reuse_error.ts";

/**
 * Places `count` full steps among `steps`; the others reuse the last full one.
 *
 * Errors of reused steps that follow the same full step add up, for they point the same way; errors of
 * different runs of reuse do not, so their squares add up. Dynamic programming finds the least sum.
 *
 * @returns Indices of the full steps, rising, the first of them 0.
 * @throws {RangeError} When so few full steps cannot be placed within the longest measured reuse.
 */
export function placeFullSteps(errors: ReuseErrors, steps: number, count: number): number[] {
  const costs = gapCosts(errors, steps);
  // best[k][end]: least cost of steps 0 … end − 1 with k full steps; from: the last of these.
  const best = table(count + 1, steps + 1, Infinity);
  const from = table(count + 1, steps + 1, -1);
  best[0]![0] = 0;
  for (let k = 1; k <= count; k++) {
    for (let end = 1; end <= steps; end++) {
      for (let last = Math.max(0, end - 1 - errors.longest); last < end; last++) {
        const cost = best[k - 1]![last]! + costs[last]![end]!;
        if (cost >= best[k]![end]!) continue;
        best[k]![end] = cost;
        from[k]![end] = last;
      }
    }
  }
  if (best[count]?.[steps] === undefined || best[count]![steps] === Infinity) {
    throw new RangeError(
      `Cannot place full steps: their number must be at least ${
        Math.ceil(steps / (errors.longest + 1))
      } and at most ${steps}: current value is ${count}`,
    );
  }
  return traceBack(from, steps, count);
}

/** `costs[last][end]`: squared final error of reusing `last` from `last + 1` to `end − 1`. */
function gapCosts({ final }: ReuseErrors, steps: number): number[][] {
  const costs = table(steps, steps + 1, Infinity);
  for (let last = 0; last < steps; last++) {
    let error = 0;
    for (let end = last + 1; end <= steps; end++) {
      costs[last]![end] = error ** 2;
      error += final[last]?.[end] ?? Infinity;
    }
  }
  return costs;
}

function traceBack(from: readonly (readonly number[])[], steps: number, count: number): number[] {
  const placed: number[] = [];
  let end = steps;
  for (let k = count; k > 0; k--) {
    end = from[k]![end]!; // every cell on the path was set
    placed.push(end);
  }
  return placed.reverse();
}

function table(rows: number, columns: number, value: number): number[][] {
  return Array.from({ length: rows }, () => new Array<number>(columns).fill(value));
}
