/**
 * Quantiles with the float32 arithmetic that the published thresholds were computed with.
 */

/**
 * Quantile of numbers with linear interpolation, rank and interpolation in float32.
 *
 * @param level 0 = smallest … 1 = largest.
 * @throws {RangeError} When there are no numbers or the level is not in 0 … 1.
 * Source: `torch.quantile`, and `torch.lerp` for which end the interpolation starts from.
 */
export function quantile(values: Float32Array, level: number): number {
  if (values.length === 0) {
    throw new RangeError("Cannot take quantile: numbers must be at least 1: current value is 0");
  }
  if (!(level >= 0 && level <= 1)) {
    throw new RangeError(`Cannot take quantile: level must be 0 … 1: current value is ${level}`);
  }
  const sorted = values.toSorted();
  const { fround } = Math;
  const rank = fround(fround(level) * (values.length - 1));
  const below = Math.floor(rank);
  const low = sorted[below]!;
  const high = sorted[Math.ceil(rank)]!;
  const weight = fround(rank - below);
  const gap = fround(high - low);
  return weight < 0.5
    ? fround(low + fround(weight * gap))
    : fround(high - fround(gap * fround(1 - weight)));
}
