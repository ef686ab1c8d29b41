/**
 * Noise and labels from a file, instead of a seed.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { openSafetensors, type Safetensors } from "../assets/formats/safetensors.ts";
import { openDirectory } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import type { TextConditions } from "../model/scene.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { readPositions } from "../worker/picture_conditions.ts";

/** One row of noise for each label. */
export interface GivenConditions {
  /** Starting noise `(n, C, H, W)`, or packed `(n, T, C)`. */
  readonly noise: Tensor;
  /** Class of each row; with text, its row of text. */
  readonly labels: readonly number[];
  /** What labels choose from, for a model of text. */
  readonly given?: TextConditions;
}

/**
 * Reads a safetensors file with `noise` (n, C, H, W) of floats and `label` (n) of integers; or, for a
 * model of text, with `noise` (n, T, C) packed, `text` (n, M, W), `pooled` (n, P) and `image_ids` (T, axes).
 *
 * @throws {AssetError} When it cannot be read, or noise and labels differ in rows.
 */
export async function readConditions(path: string): Promise<GivenConditions> {
  const source = openDirectory(dirname(path));
  try {
    const file = await openSafetensors(source, basename(path));
    const noise = await file.readFloat32("noise");
    const given = await readText(file);
    const rows = given?.text?.dims[0];
    const labels = rows !== undefined && !file.tensors.has("label")
      ? Array.from({ length: rows }, (_, row) => row)
      : await file.readIntegers("label");
    if (labels.length === noise.dims[0]) {
      return { noise, labels, ...(given !== undefined && { given }) };
    }
    throw new AssetError(
      `Cannot use ${path}: ${file.tensors.has("label") ? "label" : "text"} must have ${
        noise.dims[0]
      } rows, as noise has: ` +
        `current value is ${labels.length}`,
    );
  } finally {
    await source.close();
  }
}

/** The tensors of text; `undefined` when there is none of them. */
async function readText(file: Safetensors): Promise<TextConditions | undefined> {
  const read = async (name: string): Promise<Tensor | undefined> =>
    file.tensors.has(name) ? await file.readFloat32(name) : undefined;
  const given = {
    text: await read("text"),
    pooled: await read("pooled"),
    imageIds: await readPositions(file),
  };
  return Object.values(given).some((tensor) => tensor !== undefined) ? given : undefined;
}
