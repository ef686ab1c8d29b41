/**
 * Noise and labels from a file, instead of a seed.
 */

import { basename, dirname } from "node:path";
import { openSafetensors, type Safetensors } from "../assets/formats/safetensors.ts";
import { openDirectory } from "../assets/source.ts";
import type { RunConditions } from "../calibrate/task.ts";
import type { GenerateOptions } from "../engine/request.ts";
import { AssetError } from "../errors.ts";
import { readTensors } from "../worker/picture_conditions.ts";

/**
 * Reads a safetensors file with `noise` (n, C, H, W) of floats and `label` (n) of integers; or, for a model
 * that is not conditioned on labels, with packed `noise` (n, T, C) and the tensors that its family names:
 * of FLUX `text` (n, M, W), `pooled` (n, P) and `image_ids` (T, axes).
 *
 * @throws {AssetError} When it cannot be read, or noise and labels differ in rows.
 */
export async function readConditions(path: string): Promise<RunConditions> {
  return await reading(path, rowsOf);
}

/**
 * The same for `generate`; a file may have no noise: then a seed makes it, and labels choose rows. Beside prompts
 * noise is enough, a row for each picture.
 */
export async function readGiven(
  path: string,
  { isPrompted }: { readonly isPrompted: boolean },
): Promise<GenerateOptions> {
  return await reading(path, async (file) => {
    const conditions = await readTensors(file);
    if (isPrompted && file.tensors.has("noise")) {
      const noise = await file.readFloat32("noise");
      return { conditions, noise, count: noise.dims[0] };
    }
    const isSeeded = !file.tensors.has("noise") && Object.keys(conditions).length > 0;
    if (isSeeded) return { conditions };
    const { given, noise, labels } = await rowsOf(file);
    return { ...given, noise, labels };
  });
}

async function reading<T>(path: string, use: (file: Safetensors) => Promise<T>): Promise<T> {
  const source = openDirectory(dirname(path));
  try {
    return await use(await openSafetensors(source, basename(path)));
  } finally {
    await source.close();
  }
}

async function rowsOf(file: Safetensors): Promise<RunConditions> {
  const noise = await file.readFloat32("noise");
  const conditions = await readTensors(file);
  const [[first, { dims: [rows = 0] }]] = [...Object.entries(conditions), ["", noise] as const];
  const isLabelled = first === "" || file.tensors.has("label");
  const labels = isLabelled ? await file.readIntegers("label") : [...Array(rows).keys()];
  if (labels.length === noise.dims[0]) return { noise, labels, given: { conditions }, seeds: [] };
  throw new AssetError(
    `Cannot use ${file.path}: ${isLabelled ? "label" : first} must have ${
      noise.dims[0]
    } rows, as ` +
      `noise has: current value is ${labels.length}`,
  );
}
