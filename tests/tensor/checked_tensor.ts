import { elementCount, type Tensor } from "../../src/tensor/tensor.ts";

/** Pairs dimensions with as many numbers. */
export function tensor(dims: readonly number[], data: Float32Array): Tensor {
  if (elementCount(dims) === data.length) return { dims, data };
  throw new RangeError(
    `Cannot make tensor [${dims}]: its data must have ${elementCount(dims)} numbers: ` +
      `current value is ${data.length}`,
  );
}
