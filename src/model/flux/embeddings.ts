/**
 * The fixed embeddings of FLUX: positions of tokens and what rotates their queries and keys.
 */

import type { Tensor } from "../../tensor/tensor.ts";
import { timeFeatures } from "../blocks/time_features.ts";

/** *Source:* diffusers `FluxPosEmbed(theta=10000)`. */
const THETA = 10000;
/** Times and guidance scales are given to the embedding in thousandths. *Source:* `FluxTransformer2DModel.forward`. */
const TIME_SCALE = 1000;

/** Cosines, then sines, for a time in 0 … 1 or a guidance scale: the features of its thousandfold. */
export function scaledTimeFeatures(value: number): Float32Array {
  return timeFeatures(Math.fround(Math.fround(value) * TIME_SCALE));
}

/** Positions `(rows · columns, axes)` of a grid: 0, row, column, and 0 on further axes. */
export function gridIds([rows, columns]: readonly [number, number], axes: number): Tensor {
  const data = new Float32Array(rows * columns * axes);
  for (let token = 0; token < rows * columns; token++) {
    data[token * axes + 1] = Math.floor(token / columns);
    data[token * axes + 2] = token % columns;
  }
  return { dims: [rows * columns, axes], data };
}

/** The grid whose positions these are, if they are a whole one's in order. */
export function gridOf(
  { dims: [tokens = 0, axes = 0], data }: Tensor,
): [number, number] | undefined {
  const last = data.subarray((tokens - 1) * axes);
  const [rows, columns] = [(last[1] ?? 0) + 1, (last[2] ?? 0) + 1];
  if (rows * columns !== tokens) return undefined;
  const wanted = gridIds([rows, columns], axes).data;
  return data.every((value, i) => value === wanted[i]) ? [rows, columns] : undefined;
}

/** Cosines and sines `(S, pairs of a head)` for the positions `(S, axes)` of tokens. */
export interface RotationTables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Tables for text tokens, all at position 0, followed by tokens at the given positions.
 *
 * *Source:* diffusers `get_1d_rotary_pos_embed` (float64 until the end).
 */
export function rotationTables(
  ids: Tensor,
  { axesDims, textTokens }: {
    readonly axesDims: readonly number[];
    readonly textTokens: number;
  },
): RotationTables {
  const [tokens = 0, axes = 0] = ids.dims;
  const frequencies = axesDims.flatMap((dim, axis) =>
    Array.from({ length: dim / 2 }, (_, k) => ({ axis, frequency: 1 / THETA ** (2 * k / dim) }))
  );
  const pairs = frequencies.length;
  const dims = [textTokens + tokens, pairs];
  const cos = new Float32Array(dims[0]! * pairs).fill(1); // the angle of position 0
  const sin = new Float32Array(cos.length);
  for (let token = 0; token < tokens; token++) {
    frequencies.forEach(({ axis, frequency }, pair) => {
      const angle = ids.data[token * axes + axis]! * frequency; // as many axes as axesDims
      const at = (textTokens + token) * pairs + pair;
      cos[at] = Math.cos(angle);
      sin[at] = Math.sin(angle);
    });
  }
  return { cos: { dims, data: cos }, sin: { dims, data: sin } };
}
