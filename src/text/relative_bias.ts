/**
 * T5's relative positions: what attention adds to a logit depends on how far its key is from its query.
 */

import { type Tensor, zeros } from "../tensor/tensor.ts";
import { HIDDEN } from "./layers.ts";
import type { TextTokens } from "./network.ts";

/** How distances fall into buckets. */
export interface Buckets {
  /** Half of them are for keys before the query, half for those after it. */
  readonly buckets: number;
  /** From here on, all distances share the last one. */
  readonly maxDistance: number;
}

const { fround } = Math;

/**
 * The bucket of a key, so many tokens after its query: a bucket for each of the small distances, then wider and
 * wider ones.
 *
 * *Source:* transformers `T5Attention._relative_position_bucket`, which computes the logarithm in float32; rounded
 * likewise, a distance on the edge of a bucket falls on the same side.
 */
export function bucketOf(distance: number, { buckets, maxDistance }: Buckets): number {
  const side = Math.floor(buckets / 2);
  const first = distance > 0 ? side : 0;
  const away = Math.abs(distance);
  const exact = Math.floor(side / 2);
  if (away < exact) return first + away;
  const log = fround(Math.log(fround(away / exact)));
  const share = fround(log / fround(Math.log(maxDistance / exact)));
  const wide = exact + Math.trunc(fround(share * (side - exact)));
  return first + Math.min(side - 1, wide);
}

/** The bias `(1, H, M, M)` of a text from the table `(buckets, H)`; pads are hidden where there is a mask. */
export function relativeBias(
  { ids: { length }, mask }: TextTokens,
  { dims: [, heads = 0], data: table }: Tensor,
  buckets: Buckets,
): Tensor {
  const bias = zeros([1, heads, length, length]);
  const places = Array.from(
    { length: 2 * length - 1 },
    (_, i) => bucketOf(i - length + 1, buckets),
  );
  let at = 0;
  for (let head = 0; head < heads; head++) {
    for (let query = 0; query < length; query++) {
      for (let key = 0; key < length; key++, at++) {
        const bucket = places[key - query + length - 1]!; // every distance is there
        bias.data[at] = table[bucket * heads + head]! + (mask?.[key] === 0 ? HIDDEN : 0);
      }
    }
  }
  return bias;
}
