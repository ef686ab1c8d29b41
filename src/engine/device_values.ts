/**
 * Device values that are disposed of as soon as nothing needs them.
 */

import type { Backend, Value } from "../backend/backend.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Device values by name; the owner of the record disposes of them. */
export type Values = Readonly<Record<string, Value>>;

export type Tensors = Readonly<Record<string, Tensor>>;

export function uploadAll(backend: Backend, tensors: Tensors): Values {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, backend.upload(tensor)]),
  );
}

/** Runs a graph on tensors of the host; nothing stays on the device. */
export async function runOnHost(
  backend: Backend,
  tensors: Tensors,
  run: (inputs: Values) => Promise<Values>,
): Promise<Tensors> {
  const inputs = uploadAll(backend, tensors);
  const results = await whileAlive(inputs, () => run(inputs));
  return await whileAlive(results, async () => {
    const downloaded: Record<string, Tensor> = {};
    for (const name in results) downloaded[name] = await backend.download(results[name]!);
    return downloaded;
  });
}

/** Downloads a value and disposes of it, even when downloading fails. */
export async function takeDown(backend: Backend, value: Value): Promise<Tensor> {
  return await whileAlive({ value }, () => backend.download(value));
}

/** Runs a task, then disposes of the values that it used, even when it fails. */
export async function whileAlive<T>(values: Values, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } finally {
    disposeAll(values);
  }
}

export function disposeAll(values: Values): void {
  for (const value of Object.values(values)) value.dispose();
}
