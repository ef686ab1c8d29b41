/**
 * Weights by least squares: float64 normal equations with a ridge.
 */

/** Inner products of what is weighed, and of that with what is wanted. */
export interface NormalEquations {
  /** `gram[i][j]`: term i · term j. */
  readonly gram: readonly (readonly number[])[];
  /** `target[i]`: term i · what is wanted. */
  readonly target: readonly number[];
}

/**
 * How much of itself is added to each diagonal element, for terms of neighbouring steps are nearly parallel: what is
 * tried, the usually best first. Where steps are many and small, 1e-6 is more than the error that weights would leave;
 * where there are few runs it keeps weights from following them.
 */
export const RIDGES: readonly number[] = [1e-8, 1e-6, 1e-4];

/** The equations of terms and what their weighted sum should be. */
export function normalEquations(
  terms: readonly Float32Array[],
  wanted: Float32Array,
): NormalEquations {
  const gram = terms.map((a, i) => terms.map((b, j) => j < i ? 0 : dot(a, b)));
  return {
    gram: gram.map((row, i) => row.map((value, j) => j < i ? gram[j]![i]! : value)), // symmetric
    target: terms.map((term) => dot(term, wanted)),
  };
}

/**
 * The weights of least squared error; by elimination, for there are few.
 *
 * @param ridge 1e-6 unless given.
 */
export function leastSquares({ gram, target }: NormalEquations, ridge = 1e-6): number[] {
  const rows = gram.map((row, i) => [
    ...row.map((value, j) => i === j ? value * (1 + ridge) : value),
    target[i]!, // as many as rows
  ]);
  for (const [i, pivot] of rows.entries()) { // a ridge keeps it positive definite: no exchange is needed
    for (const row of rows.slice(i + 1)) {
      const factor = row[i]! / pivot[i]!;
      for (let j = i; j < row.length; j++) row[j]! -= factor * pivot[j]!;
    }
  }
  const weights: number[] = new Array(rows.length).fill(0);
  for (const [i, row] of [...rows.entries()].reverse()) {
    const known = weights.reduce((sum, weight, j) => j > i ? sum + weight * row[j]! : sum, 0);
    weights[i] = (row.at(-1)! - known) / row[i]!;
  }
  return weights;
}

/** Squared error of weights. @param wanted Its square. */
export function squaredError(
  { gram, target }: NormalEquations,
  weights: readonly number[],
  wanted: number,
): number {
  const error = weights.reduce((sum, weight, i) => {
    const row = weights.reduce((all, other, j) => all + other * gram[i]![j]!, 0); // square
    return sum + weight * (row - 2 * target[i]!);
  }, wanted);
  return Math.max(0, error); // rounding may leave less than nothing
}

/** Inner product in float64. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!; // as long as each other
  return sum;
}

/** In float32, as the numbers are. */
export function difference(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value - b[i]!); // as long as each other
}

/** Of one number at least. */
export function rootMeanSquare(numbers: Float32Array): number {
  return Math.sqrt(dot(numbers, numbers) / numbers.length);
}
