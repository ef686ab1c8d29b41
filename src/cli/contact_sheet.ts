/**
 * Pictures of two ways of making them, side by side.
 */

import { fullestColumns, type Picture, tileGrid, toPictures } from "../image/picture.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Differences are small: drawn four times as large, white from a quarter of the range on. */
const AMPLIFICATION = 4;

/**
 * Lays out triples from left to right: full, plan, difference (black where equal); as many triples a
 * line as leave the fewest places empty.
 *
 * @throws {RangeError} When they are not pixels.
 */
export function contactSheet(full: Tensor, planned: Tensor): Picture {
  const ways = [full, planned, difference(full, planned)].map(toPictures);
  const triples = ways[0]!.flatMap((_, i) => ways.map((pictures) => pictures[i]!));
  const [{ width, height } = { width: 1, height: 1 }] = triples;
  const across = fullestColumns(ways[0]!.length, ways.length * width / height);
  return tileGrid(triples, { columns: ways.length * across });
}

/** From -1, black, for equal pixels. */
function difference({ dims, data }: Tensor, other: Tensor): Tensor {
  const values = data.map((value, i) => -1 + AMPLIFICATION * Math.abs(value - other.data[i]!));
  return { dims, data: values };
}
