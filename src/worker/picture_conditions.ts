/**
 * Conditions that a renderer of a model of text is opened with: each is to it what a class is to others.
 *
 * @module
 */

import { checkJson, parseJson } from "../assets/json.ts";
import { openSafetensors, type Safetensors } from "../assets/formats/safetensors.ts";
import { openDirectory } from "../assets/source.ts";
import { AssetError } from "../errors.ts";
import type { TextConditions } from "../model/scene.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { z } from "zod";

/** Text features, and what people call them. */
export interface PictureConditions extends TextConditions {
  /** Name of each row of text, such as its prompt; empty when they have none. */
  readonly names?: readonly string[];
}

/** Key of a file's metadata with the names, a JSON array. */
const NAMES_KEY = "prompts";
const namesSchema = z.array(z.string().min(1).max(10_000));

/**
 * Reads a safetensors file with `text` (n, M, W), `pooled` (n, P) and, where pictures are not of the model's
 * own size, `image_ids` (T, axes); its metadata may name the rows: `prompts`, a JSON array.
 *
 * @throws {AssetError} When it cannot be read, or there is not a name for each row.
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
  const text = await file.readFloat32("text");
  const names = namesOf(file);
  const [rows] = text.dims;
  if (names.length > 0 && names.length !== rows) {
    throw new AssetError(
      `Cannot use ${path}: ${NAMES_KEY} must be ${rows}, one for each row of text: ` +
        `current value is ${names.length}`,
    );
  }
  const imageIds = await readPositions(file);
  return {
    text,
    pooled: await file.readFloat32("pooled"),
    ...(imageIds !== undefined && { imageIds }),
    names,
  };
}

/** Positions `image_ids`, which may be stored as integers; `undefined` where there are none. */
export async function readPositions(file: Safetensors): Promise<Tensor | undefined> {
  const entry = file.tensors.get("image_ids");
  if (entry === undefined) return undefined;
  if (!entry.dtype.startsWith("I")) return await file.readFloat32("image_ids");
  return { dims: entry.dims, data: Float32Array.from(await file.readIntegers("image_ids")) };
}

function namesOf({ metadata, path }: Safetensors): readonly string[] {
  const text = metadata.get(NAMES_KEY);
  if (text === undefined) return [];
  const thing = `${NAMES_KEY} of ${path}`;
  return checkJson(parseJson(new TextEncoder().encode(text), thing), namesSchema, thing);
}
