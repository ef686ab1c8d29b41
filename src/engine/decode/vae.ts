/**
 * Latents to pictures and back, on a backend.
 *
 * A picture larger than a tile goes in pieces. The middle, with its attention over all pixels, always runs
 * on the whole latent. Between it and the pixels the picture goes layer by layer in bands of rows, with the same result as in one
 * piece, as long as the host's memory holds what is between two layers. A larger one is cut into overlapping tiles
 * with blended seams: memory does not grow with the picture, but norms only estimate the statistics of the whole.
 */

import { elementCount, type Tensor } from "../../tensor/tensor.ts";
import { joinRows, sliceRows } from "../../tensor/rows.ts";
import { fitColours, type LatentColours, sampleLatents } from "./latent_colours.ts";
import { bytesBetweenLayers, runInBands } from "./layerwise.ts";
import { encoderOf, type VaeGraphs } from "./vae_graphs.ts";
import { estimateStatistics, runInTiles, type TileOptions } from "./tilewise.ts";

export interface DecodeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Side, in latent pixels, of the square that is computed at once; {@link DEFAULT_TILE} unless given. */
  readonly tile?: number | undefined;
  /** Bytes that may lie between two layers of a larger picture; {@link DEFAULT_HOST_BYTES} unless given. */
  readonly hostBytes?: number | undefined;
}

/** Side, in latent pixels, that is computed at once by default: 512 of the picture's pixels at a scale of 8. */
export const DEFAULT_TILE = 64;

/** Bytes on the host between layers by default: 2 GiB, enough for 1440 × 1440 pixels of FLUX's or SD's decoder. */
const DEFAULT_HOST_BYTES: number = 2 ** 31;

/**
 * A diffusion model's latents `(N, C, h, w)` to pictures `(N, 3, H, W)` in about [-1, 1], one at a time.
 *
 * @throws {RangeError} When latents have another shape or are not all finite, or a tile is too small.
 */
export function decode(
  graphs: VaeGraphs,
  latents: Tensor,
  options: DecodeOptions = {},
): Promise<Tensor> {
  const { scalingFactor, shiftFactor } = graphs.vae;
  const data = latents.data.map((value) => value / scalingFactor + shiftFactor);
  return decodeRaw(graphs, { dims: latents.dims, data }, options);
}

/** As {@link decode}, for latents in the autoencoder's own scale. */
export async function decodeRaw(
  graphs: VaeGraphs,
  latents: Tensor,
  options: DecodeOptions = {},
): Promise<Tensor> {
  const { reach, up: steps, scale, middle } = graphs.vae;
  checkLatents(latents, graphs, "decode");
  const tile = tileOf("decode latents", options, reach);
  return await eachRow(latents, async (latent) => {
    if (area(latent) <= tile ** 2) return await graphs.decode(latent, options.signal);
    const features = await graphs.runMiddle(middle, latent, options.signal);
    return await runLayers(graphs, features, {
      ...options,
      stretch: { steps, scales: [1, scale], reach },
      tile,
    });
  });
}

/**
 * Pictures `(N, 3, H, W)` in [-1, 1] to a diffusion model's latents `(N, C, h, w)`, one at a time: the mean of
 * their distribution, so that the same picture gives the same latents.
 *
 * @throws {RangeError} When pictures have another shape, sides that are no multiples of the scale, or NaN; when
 * a tile is too small, or the autoencoder does not encode.
 */
export async function encode(
  graphs: VaeGraphs,
  pictures: Tensor,
  options: DecodeOptions = {},
): Promise<Tensor> {
  const { scalingFactor, shiftFactor } = graphs.vae;
  const { dims, data } = await encodeRaw(graphs, pictures, options);
  return { dims, data: data.map((value) => (value - shiftFactor) * scalingFactor) };
}

/** As {@link encode}, in the autoencoder's own scale. */
export async function encodeRaw(
  graphs: VaeGraphs,
  pictures: Tensor,
  options: DecodeOptions = {},
): Promise<Tensor> {
  const { reach, down: steps, middle } = encoderOf(graphs.vae);
  const { scale } = graphs.vae;
  checkPictures(pictures, graphs);
  const tile = tileOf("encode pictures", options, reach);
  return await eachRow(pictures, async (picture) => {
    if (area(picture) <= (tile * scale) ** 2) return await graphs.encode(picture, options.signal);
    const features = await runLayers(graphs, picture, {
      ...options,
      stretch: { steps, scales: [scale, 1], reach },
      tile,
    });
    return await graphs.runMiddle(middle, features, options.signal);
  });
}

function area({ dims: [, , height = 0, width = 0] }: Tensor): number {
  return height * width;
}

/** The tile of options, in which two pixels at its ends depend on nothing in common. */
function tileOf(verb: string, { tile = DEFAULT_TILE }: DecodeOptions, reach: number): number {
  const least = 2 * reach;
  if (Number.isInteger(tile) && tile >= least) return tile;
  throw new RangeError(
    `Cannot ${verb}: tile must be a whole number >= ${least}: current value is ${tile}`,
  );
}

/** Fits the map that previews are painted with: always the same one, since the sample is. */
export async function fitPreview(
  graphs: VaeGraphs,
  options: Pick<DecodeOptions, "signal"> = {},
): Promise<LatentColours> {
  const sample = sampleLatents(graphs.vae.latentChannels);
  return fitColours(sample, await decode(graphs, sample, options));
}

/** @throws {RangeError} When latents have another shape than `(N, C, h, w)`, or are not all finite. */
export function checkLatents(latents: Tensor, { vae }: VaeGraphs, verb: string): void {
  checkPlanes(latents, { verb: `${verb} latents`, channels: vae.latentChannels, multiple: 1 });
}

function checkPictures(pictures: Tensor, { vae: { scale } }: VaeGraphs): void {
  checkPlanes(pictures, { verb: "encode pictures", channels: 3, multiple: scale });
}

function checkPlanes(
  { dims, data }: Tensor,
  { verb, channels, multiple }: {
    readonly verb: string;
    readonly channels: number;
    readonly multiple: number;
  },
): void {
  const [count = 0, , ...sides] = dims;
  const fits = dims.length === 4 && dims[1] === channels && elementCount(dims) === data.length &&
    count >= 1 && sides.every((side) => side >= multiple && side % multiple === 0);
  if (!fits) {
    const whole = multiple === 1 ? "" : `, sides multiples of ${multiple}`;
    throw new RangeError(
      `Cannot ${verb}: they must be (N, ${channels}, H, W)${whole}: current value is [${dims}]`,
    );
  }
  const odd = data.find((value) => !Number.isFinite(value));
  if (odd === undefined) return;
  throw new RangeError(`Cannot ${verb}: they must be finite numbers: current value is ${odd}`);
}

/** Runs a stretch over a picture that is larger than a tile: in bands, or in tiles where those take too much. */
async function runLayers(
  graphs: VaeGraphs,
  picture: Tensor,
  { stretch, tile, signal, hostBytes = DEFAULT_HOST_BYTES }:
    & Omit<TileOptions, "signal">
    & Pick<DecodeOptions, "signal" | "hostBytes">,
): Promise<Tensor> {
  const [, , height = 0, width = 0] = picture.dims;
  const { steps, scales: [scale] } = stretch;
  if (bytesBetweenLayers(steps, [height, width]) <= hostBytes) {
    const rows = scale * Math.max(1, Math.floor(tile ** 2 * scale / width));
    return await runInBands(graphs, picture, { steps, rows, signal });
  }
  const options = { stretch, tile, signal };
  const statistics = await estimateStatistics(graphs, picture, options);
  return await runInTiles(graphs, picture, { ...options, statistics });
}

/** One picture after another, so that memory does not grow with their number. */
async function eachRow(batch: Tensor, run: (row: Tensor) => Promise<Tensor>): Promise<Tensor> {
  const results: Tensor[] = [];
  for (let row = 0; row < batch.dims[0]!; row++) { // of rank 4
    results.push(await run(sliceRows(batch, row, 1)));
  }
  return joinRows(results);
}
