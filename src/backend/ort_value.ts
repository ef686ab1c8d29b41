/**
 * A tensor of ONNX Runtime as a value of ours.
 */

import type { Tensor as OrtTensor } from "npm:onnxruntime-common@1.30.0";
import { elementCount } from "../tensor/tensor.ts";
import type { Value } from "./backend.ts";
import { elementBytes } from "./element_type.ts";

/** A tensor that is disposed of once. */
export class OrtValue implements Value {
  readonly dims: readonly number[];
  readonly byteLength: number;
  #disposed = false;

  constructor(readonly native: OrtTensor, readonly onDispose: () => void) {
    this.dims = native.dims;
    this.byteLength = elementCount(native.dims) * elementBytes(native.type);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.native.dispose();
    this.onDispose();
  }
}
