/**
 * A picture `(1, C, H, W)` on the host that is made and used up row by row, so that it is hardly ever there
 * as a whole beside the one that it becomes.
 *
 * @module
 */

import type { Tensor } from "../tensor/tensor.ts";

/** Some rows of the picture. */
interface Band {
  readonly first: number;
  readonly rows: Tensor;
}

/** Rows in order: appended at the end, released from the beginning. */
export class RowStore {
  #bands: Band[] = [];
  #height = 0;

  /** Rows appended so far. */
  get height(): number {
    return this.#height;
  }

  /** Adds rows `(1, C, rows, W)` at the end; they must not be written to any more. */
  append(rows: Tensor): void {
    this.#bands.push({ first: this.#height, rows });
    this.#height += rows.dims[2]!; // rank 4
  }

  /** A copy of some rows, none of which may have been released. */
  read(first: number, count: number): Tensor {
    const [, channels = 0, , width = 0] = this.#bands[0]!.rows.dims; // what is read was appended
    const data = new Float32Array(channels * count * width);
    for (const band of this.#bands) {
      const height = band.rows.dims[2]!; // rank 4
      const from = Math.max(first, band.first);
      const length = Math.min(first + count, band.first + height) - from;
      if (length <= 0) continue;
      for (let c = 0; c < channels; c++) {
        const start = (c * height + from - band.first) * width;
        const part = band.rows.data.subarray(start, start + length * width);
        data.set(part, (c * count + from - first) * width);
      }
    }
    return { dims: [1, channels, count, width], data };
  }

  /** Lets go of bands that lie wholly in front of a row. */
  release(before: number): void {
    this.#bands = this.#bands.filter(({ first, rows }) => first + rows.dims[2]! > before); // rank 4
  }
}
