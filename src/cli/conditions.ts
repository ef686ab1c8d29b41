/**
 * Noise and labels from a file, instead of a seed.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { openSafetensors } from "../assets/safetensors.ts";
import { openDirectory } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** One row of noise for each label. */
export interface GivenConditions {
  /** Starting noise `(n, C, H, W)`. */
  readonly noise: Tensor;
  /** Class of each row. */
  readonly labels: readonly number[];
}

/**
 * Reads a safetensors file with `noise` (n, C, H, W) of floats and `label` (n) of integers.
 *
 * @throws {AssetError} When it cannot be read, or noise and labels differ in rows.
 */
export async function readConditions(path: string): Promise<GivenConditions> {
  const source = openDirectory(dirname(path));
  try {
    const file = await openSafetensors(source, basename(path));
    const noise = await file.readFloat32("noise");
    const labels = await file.readIntegers("label");
    if (labels.length === noise.dims[0]) return { noise, labels };
    throw new AssetError(
      `Cannot use ${path}: label must have ${noise.dims[0]} rows, as noise has: ` +
        `current value is ${labels.length}`,
    );
  } finally {
    await source.close();
  }
}
