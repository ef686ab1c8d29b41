/**
 * Latents to pictures, on a backend.
 *
 * A picture larger than a tile is decoded in pieces. The middle, with its attention over all pixels, always runs
 * on the whole latent. After it the picture goes layer by layer in bands of rows, with the same result as in one
 * piece, as long as the host's memory holds what is between two layers. A larger one is cut into overlapping tiles
 * with blended seams: memory does not grow with the picture, but norms only estimate the statistics of the whole.
 */

import { elementCount, type Tensor } from "../../tensor/tensor.ts";
import { joinRows, sliceRows } from "../../tensor/rows.ts";
import { fitColours, type LatentColours, sampleLatents } from "./latent_colours.ts";
import { bytesBetweenLayers, decodeInBands } from "./layerwise.ts";
import type { VaeGraphs } from "./vae_graphs.ts";
import { decodeInTiles, estimateStatistics, type TileOptions } from "./tilewise.ts";

export interface DecodeOptions {
  readonly signal?: AbortSignal | undefined;
  /** Side, in latent pixels, of the square that is decoded at once; {@link DEFAULT_TILE} unless given. */
  readonly tile?: number | undefined;
  /** Bytes that may lie between two layers of a larger picture; {@link DEFAULT_HOST_BYTES} unless given. */
  readonly hostBytes?: number | undefined;
}

/** Side, in latent pixels, that is decoded at once by default: 512 of the picture's pixels at a scale of 8. */
const DEFAULT_TILE = 64;

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
  { signal, tile = DEFAULT_TILE, hostBytes = DEFAULT_HOST_BYTES }: DecodeOptions = {},
): Promise<Tensor> {
  const least = 2 * graphs.vae.reach;
  checkLatents(latents, graphs, "decode");
  if (!Number.isInteger(tile) || tile < least) {
    throw new RangeError(
      `Cannot decode latents: tile must be a whole number >= ${least}: current value is ${tile}`,
    );
  }
  return await eachRow(latents, (latent) => decodeOne(graphs, latent, { signal, tile, hostBytes }));
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
export function checkLatents({ dims, data }: Tensor, { vae }: VaeGraphs, verb: string): void {
  const fits = dims.length === 4 && dims[1] === vae.latentChannels &&
    dims.every((size) => size >= 1) && elementCount(dims) === data.length;
  if (!fits) {
    throw new RangeError(
      `Cannot ${verb} latents: they must be (N, ${vae.latentChannels}, H, W): current value is [${dims}]`,
    );
  }
  const odd = data.find((value) => !Number.isFinite(value));
  if (odd === undefined) return;
  throw new RangeError(
    `Cannot ${verb} latents: they must be finite numbers: current value is ${odd}`,
  );
}

async function decodeOne(
  graphs: VaeGraphs,
  latent: Tensor,
  { signal, tile, hostBytes }: TileOptions & { readonly hostBytes: number },
): Promise<Tensor> {
  const [, , height = 0, width = 0] = latent.dims;
  if (height * width <= tile ** 2) return await graphs.decode(latent, signal);
  const features = await graphs.decodeMiddle(latent, signal);
  if (bytesBetweenLayers(graphs.vae.up, [height, width]) <= hostBytes) {
    const rows = Math.max(1, Math.floor(tile ** 2 / width));
    return await decodeInBands(graphs, features, { rows, signal });
  }
  const statistics = await estimateStatistics(graphs, features, { signal, tile });
  return await decodeInTiles(graphs, features, { signal, tile, statistics });
}

/** One picture after another, so that memory does not grow with their number. */
async function eachRow(batch: Tensor, run: (row: Tensor) => Promise<Tensor>): Promise<Tensor> {
  const results: Tensor[] = [];
  for (let row = 0; row < batch.dims[0]!; row++) { // of rank 4
    results.push(await run(sliceRows(batch, row, 1)));
  }
  return joinRows(results);
}
