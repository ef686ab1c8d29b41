/**
 * Fréchet distance between Gaussians fitted to features: what FID is over Inception's features.
 *
 * d² = ‖μ − μ′‖² + tr C + tr C′ − 2 tr (C^½ C′ C^½)^½. With C′ = F Fᵀ, F = V Λ^½ from the eigenvectors of
 * C′, the last trace is the sum of the roots of the eigenvalues of Fᵀ C F: the covariance of features
 * that were projected by F. So a set of features is projected once, and each resample of it costs one
 * small eigenvalue problem.
 *
 * *Source:* Dowson & Landau (1982); Heusel et al. (2017).
 */
import type { Tensor } from "../../src/tensor/tensor.ts";
import { eigen, type Square } from "./eigen.ts";

/** Mean and covariance of features. */
export interface Moments {
  /** Mean of each feature. */
  readonly mean: Float64Array;
  /** Divided by n − 1. */
  readonly covariance: Square;
}

/** Squared Fréchet distance of a set of features, row i counted `counts[i]` times; once unless given. */
export type Distance = (counts?: ArrayLike<number>) => number;

/** Directions with less than this share of the largest variance have none: features that never fire. */
const LEAST_VARIANCE = 1e-10;

/** Prepares the distance of sets of features `(n, D)` to a reference of D features. */
export function frechetTo(reference: Moments): (features: Tensor) => Distance {
  const { mean, covariance } = reference;
  const root = rootOf(covariance);
  const referenceTrace = trace(covariance);
  return (features) => {
    const projected = project(features, root);
    return (counts) => {
      const own = momentsOf(features, counts, "variances");
      const shift = own.mean.reduce((sum, value, d) => sum + (value - mean[d]!) ** 2, 0); // both D
      const { values } = eigen(momentsOf(projected, counts).covariance);
      const shared = values.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
      return shift + trace(own.covariance) + referenceTrace - 2 * shared;
    };
  };
}

/** Moments of features `(n, D)`; `variances` leaves what is off the diagonal 0. */
export function momentsOf(
  { dims: [rows = 0, width = 0], data }: Tensor,
  counts?: ArrayLike<number>,
  cells: "all" | "variances" = "all",
): Moments {
  const mean = new Float64Array(width);
  const covariance = new Float64Array(width * width);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const count = counts?.[row] ?? 1;
    total += count;
    if (count !== 0) {
      for (let d = 0; d < width; d++) mean[d]! += count * data[row * width + d]!; // row and d are within
    }
  }
  mean.forEach((sum, d) => mean[d] = sum / total);
  const centred = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    const count = counts?.[row] ?? 1;
    if (count === 0) continue;
    for (let d = 0; d < width; d++) centred[d] = data[row * width + d]! - mean[d]!;
    for (let i = 0; i < width; i++) {
      const weighted = count * centred[i]! / (total - 1);
      const end = cells === "all" ? width : i + 1;
      for (let j = i; j < end; j++) covariance[i * width + j]! += weighted * centred[j]!;
    }
  }
  mirror(covariance, width);
  return { mean, covariance: { size: width, cells: covariance } };
}

/** F of C = F Fᵀ, with a column for each direction that varies. */
function rootOf(covariance: Square): { readonly columns: readonly Float64Array[] } {
  const { values, vectors: { size, cells } } = eigen(covariance);
  const least = LEAST_VARIANCE * values.reduce((most, value) => Math.max(most, value), 0);
  const columns = [...values.entries()]
    .filter(([, value]) => value > least)
    .map(([i, value]) =>
      Float64Array.from({ length: size }, (_, d) => cells[d * size + i]! * Math.sqrt(value)) // within
    );
  return { columns };
}

function project(
  { dims: [rows = 0, width = 0], data }: Tensor,
  { columns }: ReturnType<typeof rootOf>,
): Tensor {
  const projected = new Float32Array(rows * columns.length);
  for (let row = 0; row < rows; row++) {
    columns.forEach((column, c) => {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += data[row * width + d]! * column[d]!; // row and d are within
      projected[row * columns.length + c] = sum;
    });
  }
  return { dims: [rows, columns.length], data: projected };
}

function mirror(cells: Float64Array, size: number): void {
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) cells[i * size + j] = cells[j * size + i]!; // i and j are within
  }
}

function trace({ size, cells }: Square): number {
  return cells.reduce((sum, value, at) => at % (size + 1) === 0 ? sum + value : sum, 0);
}
