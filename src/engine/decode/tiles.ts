/**
 * Cutting a picture into tiles that overlap, and laying them over each other with blended seams.
 */

import type { Tensor } from "../../tensor/tensor.ts";

/** A stretch of one axis. */
export interface Span {
  readonly first: number;
  readonly size: number;
}

export interface Tile {
  readonly rows: Span;
  readonly columns: Span;
}

/** Sizes of tiles, in pixels of what is cut. */
export interface TileSizes {
  /** Longest side. */
  readonly tile: number;
  /** Least overlap of neighbours; 0 puts them side by side. */
  readonly overlap: number;
}

/** The fewest tiles that cover a side: nearly equal in size, and no longer than necessary. */
export function spansOf(side: number, { tile, overlap }: TileSizes): Span[] {
  if (side <= tile) return [{ first: 0, size: side }];
  const count = Math.ceil((side - overlap) / (tile - overlap));
  const size = Math.ceil((side + (count - 1) * overlap) / count);
  return Array.from({ length: count }, (_, i) => {
    const first = Math.floor(i * (side - size) / (count - 1)); // a side above one tile has two
    return { first, size };
  });
}

/** Stretches that touch and share nothing. */
export function partsOf(side: number, longest: number): Span[] {
  const count = Math.ceil(side / longest);
  const border = (i: number): number => Math.floor(i * side / count);
  return Array.from({ length: count }, (_, i) => {
    return { first: border(i), size: border(i + 1) - border(i) };
  });
}

/** Every rectangle of these rows and columns, row by row. */
export function tilesOf(rows: readonly Span[], columns: readonly Span[]): Tile[] {
  return rows.flatMap((row) => columns.map((column) => ({ rows: row, columns: column })));
}

/** A copy of a rectangle of `(1, C, H, W)`. */
export function crop({ dims, data }: Tensor, { rows, columns }: Tile): Tensor {
  const [, channels = 0, height = 0, width = 0] = dims;
  const cut = new Float32Array(channels * rows.size * columns.size);
  let at = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = rows.first; y < rows.first + rows.size; y++) {
      const from = (c * height + y) * width + columns.first;
      cut.set(data.subarray(from, from + columns.size), at);
      at += columns.size;
    }
  }
  return { dims: [1, channels, rows.size, columns.size], data: cut };
}

/**
 * Weight of each pixel of each stretch; the weights sum to 1 at every pixel of the side. Neighbours fade
 * linearly into each other over their whole overlap.
 */
export function fadesOf(spans: readonly Span[]): Float32Array[] {
  const side = Math.max(...spans.map(({ first, size }) => first + size));
  const raw = spans.map((span, i) => rampsOf(span, spans[i - 1], spans[i + 1]));
  const sums = new Float64Array(side);
  spans.forEach(({ first }, i) => raw[i]!.forEach((share, x) => sums[first + x]! += share));
  return raw.map((shares, i) => shares.map((share, x) => share / sums[spans[i]!.first + x]!));
}

function rampsOf(
  { first, size }: Span,
  before: Span | undefined,
  after: Span | undefined,
): Float32Array {
  const shared = [
    before === undefined ? 0 : before.first + before.size - first,
    after === undefined ? 0 : first + size - after.first,
  ] as const;
  const ramp = (distance: number, over: number): number => Math.min(1, (distance + 0.5) / over);
  return Float32Array.from({ length: size }, (_, x) => {
    return Math.min(ramp(x, shared[0]), ramp(size - 1 - x, shared[1]));
  });
}

/** Adds a tile `(1, C, h, w)`, times the shares of its rows and columns, to a picture `(1, C, H, W)`. */
export function layTile(
  picture: Tensor,
  { data }: Tensor,
  { rows, columns, shares }: Tile & {
    readonly shares: { readonly rows: Float32Array; readonly columns: Float32Array };
  },
): void {
  const [, channels = 0, height = 0, width = 0] = picture.dims;
  let at = 0;
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < rows.size; y++) {
      const to = (c * height + rows.first + y) * width + columns.first;
      for (let x = 0; x < columns.size; x++) {
        picture.data[to + x]! += data[at++]! * (shares.rows[y]! * shares.columns[x]!);
      }
    }
  }
}

/** The same stretch of a picture that is `scale` times as large. */
export function enlarged({ first, size }: Span, scale: number): Span {
  return { first: first * scale, size: size * scale };
}
