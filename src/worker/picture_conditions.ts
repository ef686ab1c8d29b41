/**
 * Conditions that a text-conditioned model is opened with: each one takes the place of a class.
 */

import { checkJson, parseJson } from "../assets/json.ts";
import { openSafetensors, type Safetensors } from "../assets/formats/safetensors.ts";
import { openDirectory } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import type { ConditionOptions } from "../engine/request.ts";
import { FAMILIES } from "../model/families.ts";
import type { Conditions } from "../model/scene.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { z } from "npm:zod@4.6.7";

/** What pictures are conditioned on, with names for people. */
export interface PictureConditions extends ConditionOptions {
  /** Name of each condition, such as its prompt; empty when they have none. */
  readonly names?: readonly string[];
}

/** Key of a file's metadata with the names, a JSON array. */
const NAMES_KEY = "prompts";
const namesSchema = z.array(z.string().min(1).max(10_000));

/**
 * Reads a safetensors file with the tensors that a family of models is conditioned on: of FLUX `text`
 * (n, M, W), `pooled` (n, P) and, where pictures are not of the model's own size, `image_ids` (T, axes); its
 * metadata may name the rows: `prompts`, a JSON array.
 *
 * @throws {AssetError} When it cannot be read, has none of them, or there is not a name for each row.
 */
export async function readPictureConditions(path: string): Promise<PictureConditions> {
  const [, folder = "", name = path] = /^(.*[/\\])?([^/\\]*)$/.exec(path) ?? [];
  const source = openDirectory(folder === "" ? "." : folder);
  try {
    return await readFrom(await openSafetensors(source, name));
  } finally {
    await source.close();
  }
}

async function readFrom(file: Safetensors): Promise<PictureConditions> {
  const { path } = file;
  const conditions = await readTensors(file);
  const [first] = Object.entries(conditions);
  if (first === undefined) {
    throw new AssetError(`Cannot use ${path}: it must have ${CONDITION_NAMES.join(", ")}`);
  }
  const names = namesOf(file);
  const [what, { dims: [rows] }] = first;
  if (names.length === 0 || names.length === rows) return { conditions, names };
  throw new AssetError(
    `Cannot use ${path}: ${NAMES_KEY} must be ${rows}, one for each row of ${what}: ` +
      `current value is ${names.length}`,
  );
}

const CONDITION_NAMES = [...new Set(FAMILIES.flatMap(({ conditions }) => conditions))];

/** The tensors of a file that a family of models is conditioned on; integers, such as positions, as numbers. */
export async function readTensors(file: Safetensors): Promise<Conditions> {
  const found: Record<string, Tensor> = {};
  for (const name of CONDITION_NAMES) {
    const entry = file.tensors.get(name);
    if (entry === undefined) continue;
    found[name] = entry.dtype.startsWith("I")
      ? { dims: entry.dims, data: Float32Array.from(await file.readIntegers(name)) }
      : await file.readFloat32(name);
  }
  return found;
}

function namesOf({ metadata, path }: Safetensors): readonly string[] {
  const text = metadata.get(NAMES_KEY);
  if (text === undefined) return [];
  const thing = `${NAMES_KEY} of ${path}`;
  return checkJson(parseJson(new TextEncoder().encode(text), thing), namesSchema, thing);
}
