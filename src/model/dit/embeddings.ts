/**
 * The fixed embeddings of DiT: sinusoidal timestep features and sin-cos token positions.
 *
 * @module
 */

/** Width of the timestep features. *Source:* DiT `TimestepEmbedder(frequency_embedding_size=256)`. */
export const TIME_WIDTH = 256;

const MAX_PERIOD = 10000;
const { fround } = Math;

/**
 * Timestep features: cosines, then sines, of `time · 10000^(−k/divisor)`; `TIME_WIDTH` numbers. The
 * divisor is the original's, half of that, unless given.
 *
 * Each operation rounds to float32 in the original's order: arguments reach 999, where a last-bit
 * difference in a frequency shows in the cosine.
 *
 * *Source:* DiT `TimestepEmbedder.timestep_embedding` (divisor `half`);
 * diffusers `get_timestep_embedding(downscale_freq_shift=1)` (divisor `half − 1`).
 */
export function timeFeatures(time: number, divisor: number = TIME_WIDTH / 2): Float32Array {
  const half = TIME_WIDTH / 2;
  const features = new Float32Array(TIME_WIDTH);
  for (let k = 0; k < half; k++) {
    const exponent = fround(fround(fround(-Math.log(MAX_PERIOD)) * k) / divisor);
    const argument = fround(fround(time) * fround(Math.exp(exponent)));
    features[k] = Math.cos(argument);
    features[half + k] = Math.sin(argument);
  }
  return features;
}

/**
 * Positions of a square grid of tokens, `(grid·grid, width)` row-major: the column's sines and cosines
 * fill the first half of the width, the row's the second.
 *
 * *Source:* DiT `get_2d_sincos_pos_embed` (float64 until the end).
 */
export function positionEmbedding(width: number, grid: number): Float32Array {
  const quarter = width / 4;
  const positions = new Float32Array(grid * grid * width);
  for (let token = 0; token < grid * grid; token++) {
    const coordinates = [token % grid, Math.floor(token / grid)];
    coordinates.forEach((coordinate, half) => {
      for (let k = 0; k < quarter; k++) {
        const angle = coordinate / MAX_PERIOD ** (k / quarter);
        const at = token * width + half * 2 * quarter + k;
        positions[at] = Math.sin(angle);
        positions[at + quarter] = Math.cos(angle);
      }
    });
  }
  return positions;
}
