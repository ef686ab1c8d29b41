/**
 * Buffers of a device: counted, so that a test sees that none is left.
 */

/** A part of a buffer. */
export interface Place {
  readonly buffer: GPUBuffer;
  /** Bytes before it; a multiple of {@link PLACE_ALIGNMENT} where a shader reads it. */
  readonly offset: number;
  readonly size: number;
}

/** Where parts of a buffer may begin: the most that WebGPU lets a device demand. */
export const PLACE_ALIGNMENT = 256;

/** What buffers of values are for: STORAGE | COPY_DST | COPY_SRC of the WebGPU specification. */
export const VALUE_USAGE = 0x80 | 0x8 | 0x4;

/** Makes buffers and frees them together. */
export class Buffers {
  readonly #live = new Set<GPUBuffer>();

  constructor(readonly device: GPUDevice) {}

  /** How many are not freed. */
  get live(): number {
    return this.#live.size;
  }

  get bytes(): number {
    return [...this.#live].reduce((sum, { size }) => sum + size, 0);
  }

  /** A new buffer of zeros, as a place; whole words of at least 16 bytes. */
  make(size: number): Place {
    const whole = alignedBytes(size);
    const buffer = this.device.createBuffer({ size: whole, usage: VALUE_USAGE });
    this.#live.add(buffer);
    return { buffer, offset: 0, size: whole };
  }

  free({ buffer }: Place): void {
    if (this.#live.delete(buffer)) buffer.destroy();
  }

  dispose(): void {
    for (const buffer of this.#live) buffer.destroy();
    this.#live.clear();
  }
}

/** The runtime binds whole 16-byte rows. */
export function alignedBytes(bytes: number): number {
  return Math.max(16, Math.ceil(bytes / 16) * 16);
}

/** Memory between the operators of a run; recordings share it, for they are replayed one after another. */
export class Scratch {
  readonly #places: Place[] = [];

  constructor(readonly buffers: Buffers) {}

  /** Gives memory to one recording: every call a place that it has not got yet. */
  begin(): (size: number) => Place {
    const free = this.#places.toSorted((a, b) => a.size - b.size);
    return (size) => {
      const at = free.findIndex((place) => place.size >= size && place.size <= 2 * size);
      if (at >= 0) return { ...free.splice(at, 1)[0]!, size };
      const made = this.buffers.make(size);
      this.#places.push(made);
      return made;
    };
  }
}
