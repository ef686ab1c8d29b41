/**
 * Attention over so many pixels that only some queries can be run at a time.
 */

import type { Backend, Value } from "../../backend/backend.ts";
import { zeros } from "../../tensor/tensor.ts";
import { takeDown, type Values, whileAlive } from "../device_values.ts";

/**
 * Most products of queries, pixels and channels in one run. ONNX Runtime counts twice as many in an integer,
 * which has 32 bits on wasm and overflows for an SD autoencoder's 64 × 64 latent (onnxruntime-web 1.30).
 */
const PRODUCTS = 2 ** 30 - 1;

/** As many queries as one run may have. */
export function queriesAtOnce({ dims: [, pixels = 0, width = 0] }: Pick<Value, "dims">): number {
  return Math.max(1, Math.floor(PRODUCTS / (pixels * width)));
}

/**
 * Runs attention of `q`, `k` and `v` `(1, H·W, C)`, which the caller still owns, with at most `most` queries at a
 * time. Queries do not depend on each other, so the result is the same.
 */
export async function attend(
  backend: Backend,
  tokens: Values,
  { run, most }: { readonly run: (tokens: Values) => Promise<Value>; readonly most: number },
): Promise<Value> {
  const all = tokens["q"]!;
  const [, pixels = 0, width = 0] = all.dims;
  if (pixels <= most) return await run(tokens);
  const queries = await backend.download(all);
  const mixed = zeros(queries.dims);
  for (let first = 0; first < pixels; first += most) {
    const data = queries.data.subarray(first * width, (first + most) * width);
    const q = backend.upload({ dims: [1, data.length / width, width], data });
    const part = await whileAlive({ q }, () => run({ ...tokens, q }));
    mixed.data.set((await takeDown(backend, part)).data, first * width);
  }
  return backend.upload(mixed);
}
