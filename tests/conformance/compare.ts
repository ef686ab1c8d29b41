/** Comparing device numbers with exact ones. */
import { assertEquals, assertLessOrEqual } from "@std/assert";
import type { BackendName } from "../../src/backend/backend.ts";

/**
 * Largest error of one operator against float64, as a share of the largest result.
 *
 * Sums of up to 24 float32 products round by 2⁻²⁴ = 6e-8 each, in any order. A GPU may also compute `exp`
 * and `tanh` a few bits less exactly; llvmpipe does not.
 */
export const OPERATOR_TOLERANCE: Readonly<Record<BackendName, number>> = {
  wasm: 1.5e-6,
  native: 1.5e-6,
  webgpu: 1e-5,
};

/** A shape with numbers of any precision. */
export interface Numbers {
  /** Sizes, outermost first. */
  readonly dims: readonly number[];
  /** The numbers. */
  readonly data: Float32Array | Float64Array;
}

/** Largest difference as a share of the largest expected number; NaN where anything is not a number. */
export function relativeError(actual: Numbers["data"], expected: Numbers["data"]): number {
  let error = 0;
  let most = 0;
  for (const [i, value] of expected.entries()) {
    error = Math.max(error, Math.abs(actual[i]! - value)); // NaN stays
    most = Math.max(most, Math.abs(value));
  }
  return error / (most || 1);
}

/** Fails unless the shapes are equal and the largest difference is at most `tolerance` of the largest number. */
export function assertClose(
  actual: Numbers,
  expected: Numbers,
  { tolerance, what }: { readonly tolerance: number; readonly what: string },
): void {
  assertEquals([...actual.dims], [...expected.dims], `shape of ${what}`);
  assertEquals(actual.data.length, expected.data.length, `count of ${what}`);
  const error = relativeError(actual.data, expected.data);
  assertLessOrEqual(error, tolerance, `${what}: relative error ${error} is above ${tolerance}`);
}
