/**
 * A tensor on the host: dimensions and float32 numbers in row-major order.
 */

/** Dense row-major float32 numbers; `data.length` is the product of `dims`. */
export interface Tensor {
  /** Sizes, outermost first; `[]` is a scalar. */
  readonly dims: readonly number[];
  /** The numbers, last dimension fastest. */
  readonly data: Float32Array;
}

export function zeros(dims: readonly number[]): Tensor {
  return { dims, data: new Float32Array(elementCount(dims)) };
}

/**
 * Frees memory at once; garbage collection would do it late, since it does not count numbers outside of its
 * heap. They cannot be used afterwards.
 */
export function discard({ buffer }: Float32Array | Int8Array | Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer?.(0); // Node has it from 21 on
}

/** Product of the dimensions; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1);
}
