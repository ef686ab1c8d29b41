/**
 * A picture `(1, C, H, W)` on the host that is produced and consumed row by row, so that a layer's input and its
 * result are hardly ever both there as a whole.
 */

import { discard, type Tensor } from "../../tensor/tensor.ts";

/** Some rows of a picture, where they lie in a larger tensor `(1, C, rows, W)`. */
export interface Rows {
  /** The tensor; the store owns it from then on. */
  readonly tensor: Tensor;
  /** The first row of the tensor that counts. */
  readonly first: number;
  readonly count: number;
}

/** Rows of a picture, in order. */
interface Band extends Rows {
  /** Index of its first row in the picture. */
  readonly at: number;
}

/** Rows in order: appended at the end, released from the beginning. */
export class RowStore {
  #bands: Band[] = [];
  #height = 0;

  get height(): number {
    return this.#height;
  }

  /** The rows that are still held, as they were appended. */
  get bands(): readonly Rows[] {
    return this.#bands;
  }

  append(rows: Rows): void {
    this.#bands.push({ ...rows, at: this.#height });
    this.#height += rows.count;
  }

  /** A copy of some rows, none of which may have been released. */
  read(first: number, count: number): Tensor {
    const [, channels = 0, , width = 0] = this.#bands[0]!.tensor.dims; // what is read was appended
    const data = new Float32Array(channels * count * width);
    for (const band of this.#bands) {
      const height = band.tensor.dims[2]!; // rank 4
      const from = Math.max(first, band.at);
      const length = Math.min(first + count, band.at + band.count) - from;
      if (length <= 0) continue;
      for (let c = 0; c < channels; c++) {
        const start = (c * height + band.first + from - band.at) * width;
        const part = band.tensor.data.subarray(start, start + length * width);
        data.set(part, (c * count + from - first) * width);
      }
    }
    return { dims: [1, channels, count, width], data };
  }

  /** Frees bands that lie wholly before a row. */
  release(before: number): void {
    const isOver = ({ at, count }: Band): boolean => at + count <= before;
    this.#bands.filter(isOver).forEach(({ tensor }) => discard(tensor.data));
    this.#bands = this.#bands.filter((band) => !isOver(band));
  }
}
