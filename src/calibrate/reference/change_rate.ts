/**
 * Change rates of InvarDiff: how much a feature is about to change, against how much it changed.
 * One pass over the steps; of each trajectory only one feature and one number are kept.
 *
 * Source: InvarDiff (arXiv 2512.05134) and its published analyzers.
 */

/** Rates of one kind of feature: `rates[step][column]`; one column for the step feature. */
export type Rates = readonly Float32Array[];

/** What is kept of a trajectory between steps. */
export interface RateState {
  readonly seen: number;
  /** Distance between the reference feature and the one before it; absent before two were seen. */
  readonly span?: number;
  /** The first row of a run of reused rows has been passed: the reference stays. */
  readonly held: boolean;
}

/** The effect of one more feature. */
export interface RateUpdate {
  /** The state to pass to the next call. */
  readonly state: RateState;
  /** Change rate of row `seen - 1` of the state that went in; absent for the first two features. */
  readonly rate?: number;
  /** The new feature becomes the reference that the next one is compared with. */
  readonly advances: boolean;
}

/** The state before the first feature. */
export const NO_FEATURES: RateState = { seen: 0, held: false };

/**
 * Updates the state with the distance of one more feature to the reference feature.
 *
 * Without a mask this is phase 1: every feature becomes the reference. With the mask of phase 1 it
 * is phase 2: at the first row of a run of reused rows the reference still moves on, then it stays
 * until the run is over, as published.
 *
 * @param distance {@linkcode changeDistance} of the feature to the reference; of no meaning for the
 * first feature.
 * @param reused `reused[row]`: phase 1 would reuse this row.
 */
export function advanceRate(
  state: RateState,
  distance: number,
  reused?: readonly boolean[],
): RateUpdate {
  const seen = state.seen + 1;
  if (state.seen === 0) return { state: { seen, held: false }, advances: true };
  if (state.span === undefined) {
    return { state: { seen, span: distance, held: false }, advances: true };
  }
  const rate = distance / state.span;
  const hold = reused?.[state.seen - 1] ?? false;
  if (hold && state.held) return { state: { ...state, seen }, rate, advances: false };
  return { state: { seen, span: distance, held: hold }, rate, advances: true };
}

/**
 * L1 norm of `next - current + 1e-8`: elements in float32, their sum in float64.
 *
 * The 1e-8 is lost to rounding wherever the two differ by more; it makes equal features finite.
 *
 * @throws {RangeError} When the two are of different lengths.
 */
export function changeDistance(next: Float32Array, current: Float32Array): number {
  if (next.length !== current.length) {
    throw new RangeError(
      `Cannot compare features: length must be ${current.length}: current value is ${next.length}`,
    );
  }
  const epsilon = Math.fround(1e-8);
  let sum = 0;
  for (let i = 0; i < next.length; i++) {
    sum += Math.abs(Math.fround(Math.fround(next[i]! - current[i]!) + epsilon));
  }
  return sum;
}

/**
 * Mean of the rates of several runs, cell by cell.
 *
 * @throws {RangeError} When there are no runs, or they differ in steps or columns.
 */
export function averageRates(runs: readonly Rates[]): Rates {
  const [first] = runs;
  if (first === undefined) {
    throw new RangeError("Cannot average rates: runs must be at least 1: current value is 0");
  }
  const odd = runs.find((run) => shapeOf(run) !== shapeOf(first));
  if (odd !== undefined) {
    throw new RangeError(
      `Cannot average rates: columns per step must be ${shapeOf(first)}: ` +
        `current value is ${shapeOf(odd)}`,
    );
  }
  return first.map((row, step) =>
    row.map((_, column) => runs.reduce((sum, run) => sum + run[step]![column]!, 0) / runs.length)
  );
}

function shapeOf(rates: Rates): string {
  return rates.map((row) => row.length).join();
}
