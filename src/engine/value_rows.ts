/**
 * Some rows of a batch on the device: they pass through the host, where a batch is cut and joined in any order.
 */

import type { Backend } from "../backend/backend.ts";
import type { Preparation } from "../model/module_graph.ts";
import { pickRows, placeRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { uploadAll, type Values, whileAlive } from "./device_values.ts";

/** Rows of some pictures of a batch: those of its first half; then, where there are, those of its null half. */
export function rowsOfPictures(
  pictures: readonly number[],
  { of, rows }: { readonly of: number; readonly rows: number },
): readonly number[] {
  const halves = Array.from({ length: rows / of }, (_, half) => half * of);
  return halves.flatMap((first) => pictures.map((picture) => first + picture));
}

/** Copies of some rows; the caller disposes of them. */
export async function pickValueRows(
  backend: Backend,
  values: Values,
  rows: readonly number[],
): Promise<Values> {
  const picked: Record<string, Tensor> = {};
  for (const name in values) picked[name] = pickRows(await backend.download(values[name]!), rows);
  return uploadAll(backend, picked);
}

/** Copies of values, some rows of which are those of a part, by name; the caller disposes of them. */
export async function placeValueRows(
  backend: Backend,
  values: Values,
  { rows, part }: { readonly rows: readonly number[]; readonly part: Values },
): Promise<Values> {
  const placed: Record<string, Tensor> = {};
  for (const name in values) {
    const [whole, some] = [values[name]!, part[name]!]; // a part has what a batch has
    placed[name] = placeRows(await backend.download(whole), rows, await backend.download(some));
  }
  return uploadAll(backend, placed);
}

/** Runs a task with the constants of some rows: only what a preparation makes has a row for each of the batch. */
export async function withRowConstants<T>(
  constants: Values,
  { backend, preparation, rows }: {
    readonly backend: Backend;
    readonly preparation: Preparation | undefined;
    readonly rows: readonly number[];
  },
  task: (constants: Values) => Promise<T>,
): Promise<T> {
  const names = preparation?.outputs ?? [];
  const whole = Object.fromEntries(names.map((name) => [name, constants[name]!])); // it was prepared
  const own = await pickValueRows(backend, whole, rows);
  return await whileAlive(own, () => task({ ...constants, ...own }));
}
