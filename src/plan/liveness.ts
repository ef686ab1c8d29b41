/**
 * Static liveness: a plan is known in advance, so it also tells which results to keep and when to
 * drop them. A run-time cache cannot know; it keeps everything.
 *
 * @module
 */

/** What one step does with one result: makes it anew, loads the kept one, or neither. */
export type Use = "make" | "load" | "none";

/** What liveness says about one result over all steps. */
export interface Lifetime {
  /** `keptAfter[step]`: a later step loads what is there now. After a make: store; after a load: keep. */
  readonly keptAfter: readonly boolean[];
  /** Largest number of steps between a load and the make that it loads; 0 without loads. */
  readonly staleness: number;
}

/** Finds out when to keep one result, from how the steps use it; a make comes before any load. */
export function lifetime(uses: readonly Use[]): Lifetime {
  return { keptAfter: keptAfter(uses), staleness: staleness(uses) };
}

/** Goes backwards: a load needs what is there before it, a make does not. */
function keptAfter(uses: readonly Use[]): readonly boolean[] {
  const kept: boolean[] = new Array(uses.length);
  let needed = false;
  for (let step = uses.length - 1; step >= 0; step--) {
    kept[step] = needed;
    if (uses[step] !== "none") needed = uses[step] === "load";
  }
  return kept;
}

function staleness(uses: readonly Use[]): number {
  let made = 0;
  let oldest = 0;
  for (const [step, use] of uses.entries()) {
    if (use === "make") made = step;
    if (use === "load") oldest = Math.max(oldest, step - made);
  }
  return oldest;
}
