/**
 * Which nodes to visit with a given number of calls of the model, so that the errors that steps are expected to leave
 * are least together.
 */

import { MOST_OUTPUTS } from "../../plan/columns.ts";
import type { Foresight } from "./foresight.ts";

export interface PlacementOptions {
  /** How many nodes to visit. */
  readonly count: number;
  /** What an error at a node counts for; the node after the last is the finished latents. */
  readonly importance: (node: number) => number;
}

/** Where there are more nodes, every second one is considered: the same choices, eight times as fast. */
const MOST_PLACES = 100;
/** The longest gap, in even gaps. */
const LONGEST = 3;

/** A way to some pair of nodes, the last two that it visits. */
interface Way {
  readonly cost: number;
  readonly visited: readonly number[];
}

/**
 * Places visits by dynamic programming over pairs of neighbours: a step is expected to weigh the outputs of the last
 * two. The first node is always visited.
 *
 * @throws {RangeError} When there are fewer nodes than visits.
 */
export function placeVisits(foresight: Foresight, options: PlacementOptions): readonly number[] {
  const { count, importance } = options;
  const stride = Math.ceil(foresight.nodes / MOST_PLACES);
  const places = Array.from({ length: Math.ceil(foresight.nodes / stride) }, (_, i) => i * stride);
  if (!(count >= 1 && count <= places.length)) {
    throw new RangeError(
      `Cannot fit: calls of the model must be 1 … ${places.length}: current value is ${count}`,
    );
  }
  const gap = Math.ceil(LONGEST * places.length / count) * stride;
  const cost = stepCosts(foresight, importance);
  let ways: readonly Way[] = [{ cost: 0, visited: [0] }];
  for (let visits = 1; visits < count; visits++) {
    const best = new Map<string, Way>();
    for (const way of ways) {
      const last = way.visited.at(-1)!; // at least the first node
      for (const to of places.filter((place) => place > last && place <= last + gap)) {
        const total = way.cost + cost(way.visited, to);
        const key = `${last} ${to}`;
        if (total >= (best.get(key)?.cost ?? Infinity)) continue;
        best.set(key, { cost: total, visited: [...way.visited, to] });
      }
    }
    ways = [...best.values()];
  }
  return leastOf(ways.map(({ cost: before, visited }) => ({
    cost: before + cost(visited, foresight.nodes),
    visited,
  })));
}

/** How far visits are moved. */
const MOVES = [-8, -4, -2, -1, 1, 2, 4, 8] as const;

/**
 * Moves visits, one at a time, as long as the errors that all of their steps are expected to leave get less: a step
 * weighs more outputs than placing them can look back on. The first visit stays.
 */
export function settleVisits(
  visited: readonly number[],
  { error, nodes }: Foresight,
  importance: PlacementOptions["importance"],
): readonly number[] {
  /** Of the steps that arrive at a visit or weigh its output. */
  const costAround = (visits: readonly number[], visit: number): number =>
    visits.slice(visit - 1, visit + MOST_OUTPUTS).reduce((sum, _, i) => {
      const to = visits[visit + i] ?? nodes;
      return sum + error(visits.slice(0, visit + i), to) * importance(to);
    }, 0);
  let best = visited;
  for (let moved = true; moved;) {
    moved = false;
    for (let visit = 1; visit < best.length; visit++) {
      for (const by of MOVES) {
        const to = best[visit]! + by; // a visit
        if (to <= best[visit - 1]! || to >= (best[visit + 1] ?? nodes)) continue;
        const changed = best.with(visit, to);
        if (costAround(changed, visit) >= costAround(best, visit)) continue;
        best = changed;
        moved = true;
      }
    }
  }
  return best;
}

/** What a step costs; it depends on the last two visits and is asked for again and again. */
function stepCosts(
  { error }: Foresight,
  importance: (node: number) => number,
): (visited: readonly number[], to: number) => number {
  const known = new Map<string, number>();
  return (visited, to) => {
    const last = visited.slice(-2);
    const key = `${last} ${to}`;
    const cost = known.get(key) ?? error(last, to) * importance(to);
    known.set(key, cost);
    return cost;
  };
}

function leastOf(ways: readonly Way[]): readonly number[] {
  return ways.reduce((best, way) => way.cost < best.cost ? way : best).visited;
}
