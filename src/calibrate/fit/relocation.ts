/**
 * Looks for better nodes by running what was placed with each visit somewhat earlier or later.
 */

/** What is searched: some visits, measured. */
export interface Measured {
  readonly visited: readonly number[];
  /** Of the held-back runs, in dB. */
  readonly psnr: number;
}

export interface RelocationOptions<M extends Measured> {
  /** What was measured before. */
  readonly first: M;
  /** Other visits to begin with. */
  readonly starts: readonly (readonly number[])[];
  /** How many nodes there are. */
  readonly nodes: number;
  /** Most measurements. */
  readonly trials: number;
  /** Whether there is time for another measurement. */
  readonly hasTime: () => boolean;
  /** Measures visits; `known` was measured before. */
  readonly measure: (visited: readonly number[], known: M) => Promise<M>;
  /** Called after each measurement. */
  readonly onTrial?: ((done: number, best: M) => void) | undefined;
}

/** How far visits are moved, the first before the others. */
const MOVES = [3, -3, 1, -1] as const;

/**
 * Measures the starts, then moves one visit of the best at a time, as long as that is better. The first visit stays:
 * there the latents are the noise itself.
 *
 * @returns The best, and how many were measured, what was given as measured among them.
 */
export async function relocate<M extends Measured>(
  { first, starts, nodes, trials, hasTime, measure, onTrial }: RelocationOptions<M>,
): Promise<{ readonly best: M; readonly tried: number }> {
  let best = first;
  const seen = new Set([`${first.visited}`]);
  const isBetter = async (visited: readonly number[]): Promise<boolean> => {
    if (seen.has(`${visited}`) || seen.size >= trials || !hasTime()) return false;
    seen.add(`${visited}`);
    const found = await measure(visited, best);
    const better = found.psnr > best.psnr;
    if (better) best = found;
    onTrial?.(seen.size, best);
    return better;
  };
  onTrial?.(1, best);
  for (const start of starts) await isBetter(start);
  for (let improved = true; improved;) {
    improved = false;
    for (let visit = 1; visit < best.visited.length; visit++) {
      for (const by of MOVES) {
        const moved = movedVisit(best.visited, visit, by);
        if (moved === undefined || moved.at(-1)! >= nodes) continue;
        improved = await isBetter(moved) || improved;
      }
    }
  }
  return { best, tried: seen.size };
}

/** Visits with one of them elsewhere; `undefined` where it would pass a neighbour. */
function movedVisit(
  visited: readonly number[],
  visit: number,
  by: number,
): readonly number[] | undefined {
  const to = visited[visit]! + by; // a visit
  const fits = to > visited[visit - 1]! && to < (visited[visit + 1] ?? Infinity);
  return fits ? visited.with(visit, to) : undefined;
}
