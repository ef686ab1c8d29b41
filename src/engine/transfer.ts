/**
 * Moving values off the device.
 *
 * @module
 */

import type { Backend, Value } from "../backend/backend.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Reads a value back and disposes of it, even when reading fails. */
export async function takeDown(backend: Backend, value: Value): Promise<Tensor> {
  try {
    return await backend.download(value);
  } finally {
    value.dispose();
  }
}
