/**
 * Eigenvalues and eigenvectors of a symmetric matrix, by cyclic Jacobi rotations.
 *
 * *Source:* Golub & Van Loan, Matrix Computations, §8.5.
 */

/** A square matrix, row-major. */
export interface Square {
  /** Rows and columns. */
  readonly size: number;
  /** `size * size` numbers. */
  readonly cells: Float64Array;
}

/** `values[i]` belongs to column i of `vectors`. */
export interface Eigen {
  /** In no order. */
  readonly values: Float64Array;
  /** Orthonormal columns. */
  readonly vectors: Square;
}

/** Each sweep squares what is left off the diagonal; random matrices of size 128 need 9. */
const MAX_SWEEPS = 40;

/** Decomposes `matrix`, whose upper and lower triangle must be equal. */
export function eigen({ size, cells }: Square): Eigen {
  const a = cells.slice();
  const vectors = identity(size);
  const tolerance = 1e-30 * squareSum(a); // off-diagonal numbers below 1e-15 of the largest: rounding
  for (let sweep = 0; sweep < MAX_SWEEPS && offDiagonal(a, size) > tolerance; sweep++) {
    for (let p = 0; p < size; p++) {
      for (let q = p + 1; q < size; q++) rotate(a, vectors.cells, { size, p, q });
    }
  }
  return { values: Float64Array.from({ length: size }, (_, i) => a[i * size + i]!), vectors };
}

/** Makes cell (p, q) zero; V becomes V · J, A becomes Jᵀ · A · J. */
function rotate(
  a: Float64Array,
  v: Float64Array,
  { size, p, q }: { readonly size: number; readonly p: number; readonly q: number },
): void {
  const apq = a[p * size + q]!; // p and q are within
  if (apq === 0) return;
  const theta = (a[q * size + q]! - a[p * size + p]!) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  for (let k = 0; k < size; k++) turn(a, k * size + p, k * size + q, c, s);
  for (let k = 0; k < size; k++) turn(a, p * size + k, q * size + k, c, s);
  for (let k = 0; k < size; k++) turn(v, k * size + p, k * size + q, c, s);
}

function turn(cells: Float64Array, i: number, j: number, c: number, s: number): void {
  const [x, y] = [cells[i]!, cells[j]!]; // both are within
  cells[i] = c * x - s * y;
  cells[j] = s * x + c * y;
}

function identity(size: number): Square {
  const cells = new Float64Array(size * size);
  for (let i = 0; i < size; i++) cells[i * size + i] = 1;
  return { size, cells };
}

function squareSum(cells: Float64Array): number {
  return cells.reduce((sum, value) => sum + value ** 2, 0);
}

function offDiagonal(cells: Float64Array, size: number): number {
  return cells.reduce((sum, value, at) => at % (size + 1) === 0 ? sum : sum + value ** 2, 0);
}
