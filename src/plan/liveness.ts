/**
 * Static liveness: a plan is known in advance, so it also tells which results to keep and when to
 * drop them. A run-time cache cannot know; it keeps everything.
 *
 * @module
 */

/** What one step does with one result: makes it anew, or loads so many of the latest; 0 for neither. */
export type Use = "make" | number;

/** What liveness says about one result over all steps. */
export interface Lifetime {
  /** `keptAfter[step]`: how many of the latest results a later step loads. */
  readonly keptAfter: readonly number[];
  /** Largest number of steps between a load and the oldest make that it loads; 0 without loads. */
  readonly staleness: number;
}

/** Finds out how long to keep results, from how the steps use them; no load may come short. */
export function lifetime(uses: readonly Use[]): Lifetime {
  return { keptAfter: keptAfter(uses), staleness: staleness(uses) };
}

/** The first step that loads more results than there are, and how many were made before it. */
export function shortage(
  uses: readonly Use[],
): { readonly step: number; readonly made: number } | undefined {
  let made = 0;
  for (const [step, use] of uses.entries()) {
    if (use === "make") made++;
    else if (use > made) return { step, made };
  }
  return undefined;
}

/** Goes backwards: a load needs results before it, a make supplies one of those that are needed. */
function keptAfter(uses: readonly Use[]): readonly number[] {
  const kept: number[] = new Array(uses.length);
  let needed = 0;
  for (const [step, use] of [...uses.entries()].reverse()) {
    kept[step] = needed;
    needed = use === "make" ? Math.max(0, needed - 1) : Math.max(needed, use);
  }
  return kept;
}

function staleness(uses: readonly Use[]): number {
  const made: number[] = [];
  let oldest = 0;
  for (const [step, use] of uses.entries()) {
    if (use === "make") made.push(step);
    else if (use > 0) oldest = Math.max(oldest, step - made.at(-use)!); // it was made
  }
  return oldest;
}
