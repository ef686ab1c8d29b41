/**
 * Latents to pictures and back, on a backend.
 *
 * A picture larger than a tile is decoded in pieces. The middle, with its attention over all pixels, always runs
 * on the whole latent. Behind it the picture goes layer by layer in bands of rows, exactly as in one piece,
 * as long as the host has room for what is between two layers; a larger one goes in overlapping tiles whose
 * seams are blended, which takes no more room however large it is, and whose norms only estimate the statistics
 * of the whole.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend } from "../backend/backend.ts";
import type { Vae } from "../model/vae.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";
import { joinRows, sliceRows } from "../tensor/rows.ts";
import { fitColours, type LatentColours, paintLatents, sampleLatents } from "./latent_colours.ts";
import { bytesBetweenLayers, decodeInBands } from "./layerwise.ts";
import { VaeGraphs } from "./vae_graphs.ts";
import { decodeInTiles, estimateStatistics, type TileOptions } from "./tilewise.ts";

/** How to decode. */
export interface DecodeOptions {
  /** Stops between graphs. */
  readonly signal?: AbortSignal | undefined;
  /** Side, in latent pixels, of the square that is decoded at once; {@link DEFAULT_TILE} unless given. */
  readonly tile?: number | undefined;
  /** Bytes that may lie between two layers of a larger picture; {@link DEFAULT_ROOM} unless given. */
  readonly room?: number | undefined;
}

/** Latent pixels of a side that are decoded at once unless told otherwise: 512 of the picture's for a scale of 8. */
export const DEFAULT_TILE = 64;

/** Room between layers unless told otherwise: 2 GiB, enough for 1440 × 1440 pixels of FLUX's or SD's decoder. */
export const DEFAULT_ROOM: number = 2 ** 31;

/** An autoencoder on a backend; its sessions are loaded when first used and live until it is disposed. */
export class VaeExecutor {
  readonly #graphs: VaeGraphs;
  #colours: LatentColours | undefined;

  /** Loads nothing yet. */
  constructor(
    /** Where it runs. */
    backend: Backend,
    /** What it computes. */
    readonly vae: Vae,
    /** With which weights. */
    weights: Weights,
  ) {
    this.#graphs = new VaeGraphs(backend, vae, weights);
  }

  /**
   * A diffusion model's latents `(N, C, h, w)` to pictures `(N, 3, H, W)` in about [-1, 1], one at a time.
   *
   * @throws {RangeError} When latents have another shape or are not all finite, or a tile is too small.
   */
  decode(latents: Tensor, options: DecodeOptions = {}): Promise<Tensor> {
    const { scalingFactor, shiftFactor } = this.vae;
    const data = latents.data.map((value) => value / scalingFactor + shiftFactor);
    return this.decodeRaw({ dims: latents.dims, data }, options);
  }

  /** As {@link VaeExecutor.decode}, for latents in the autoencoder's own scale. */
  async decodeRaw(latents: Tensor, options: DecodeOptions = {}): Promise<Tensor> {
    const { latentChannels, reach } = this.vae;
    const { signal, tile = DEFAULT_TILE, room = DEFAULT_ROOM } = options;
    checkPictures(latents, { verb: "decode latents", channels: latentChannels, multiple: 1 });
    if (!Number.isInteger(tile) || tile < 2 * reach) {
      throw new RangeError(
        `Cannot decode latents: tile must be a whole number >= ${
          2 * reach
        }: current value is ${tile}`,
      );
    }
    return await eachRow(latents, (latent) => this.#decodeOne(latent, { signal, tile, room }));
  }

  /**
   * Pictures `(N, 3, H, W)` in [-1, 1] to a diffusion model's latents, the mean of their distribution.
   * Memory grows with the picture: encoding is not tiled.
   *
   * @throws {RangeError} When pictures have another shape, sides that are no multiples of the scale, or NaN.
   */
  async encode(pictures: Tensor, options: Pick<DecodeOptions, "signal"> = {}): Promise<Tensor> {
    const { scalingFactor, shiftFactor } = this.vae;
    const { dims, data } = await this.encodeRaw(pictures, options);
    return { dims, data: data.map((value) => (value - shiftFactor) * scalingFactor) };
  }

  /** As {@link VaeExecutor.encode}, in the autoencoder's own scale. */
  async encodeRaw(
    pictures: Tensor,
    { signal }: Pick<DecodeOptions, "signal"> = {},
  ): Promise<Tensor> {
    checkPictures(pictures, { verb: "encode pictures", channels: 3, multiple: this.vae.scale });
    return await eachRow(pictures, (picture) => this.#graphs.encode(picture, signal));
  }

  /**
   * A rough look at a diffusion model's latents: `(N, 3, h, w)` in [-1, 1], a linear map of each pixel. The
   * first call fits the map, which decodes {@link sampleLatents} once.
   *
   * @throws {RangeError} As {@link VaeExecutor.decode}.
   */
  async preview(latents: Tensor, options: Pick<DecodeOptions, "signal"> = {}): Promise<Tensor> {
    checkPictures(latents, {
      verb: "preview latents",
      channels: this.vae.latentChannels,
      multiple: 1,
    });
    return paintLatents(await this.#fitted(options), latents);
  }

  /** Frees its sessions and weights. */
  dispose(): Promise<void> {
    return this.#graphs.dispose();
  }

  /** Two first calls at a time both fit: each has a signal of its own, and they find the same map. */
  async #fitted(options: Pick<DecodeOptions, "signal">): Promise<LatentColours> {
    if (this.#colours !== undefined) return this.#colours;
    const latents = sampleLatents(this.vae.latentChannels);
    this.#colours = fitColours(latents, await this.decode(latents, options));
    return this.#colours;
  }

  async #decodeOne(
    latent: Tensor,
    { signal, tile, room }: TileOptions & { readonly room: number },
  ): Promise<Tensor> {
    const [, , height = 0, width = 0] = latent.dims;
    if (height * width <= tile ** 2) return await this.#graphs.decode(latent, signal);
    const features = await this.#graphs.decodeMiddle(latent, signal);
    if (bytesBetweenLayers(this.vae.decoder.up, [height, width]) <= room) {
      const rows = Math.max(1, Math.floor(tile ** 2 / width));
      return await decodeInBands(this.#graphs, features, { rows, signal });
    }
    const statistics = await estimateStatistics(this.#graphs, features, { signal, tile });
    return await decodeInTiles(this.#graphs, features, { signal, tile, statistics });
  }
}

/** One picture after another, so that memory does not grow with their number. */
async function eachRow(batch: Tensor, run: (row: Tensor) => Promise<Tensor>): Promise<Tensor> {
  const results: Tensor[] = [];
  for (let row = 0; row < batch.dims[0]!; row++) { // of rank 4
    results.push(await run(sliceRows(batch, row, 1)));
  }
  return joinRows(results);
}

function checkPictures(
  { dims, data }: Tensor,
  { verb, channels, multiple }: {
    readonly verb: string;
    readonly channels: number;
    readonly multiple: number;
  },
): void {
  const [count = 0, , height = 0, width = 0] = dims;
  const fits = dims.length === 4 && dims[1] === channels && elementCount(dims) === data.length &&
    count >= 1 && [height, width].every((side) => side >= multiple && side % multiple === 0);
  if (!fits) {
    const sides = multiple === 1 ? "" : `, sides multiples of ${multiple}`;
    throw new RangeError(
      `Cannot ${verb}: they must be (N, ${channels}, H, W)${sides}: current value is [${dims}]`,
    );
  }
  const odd = data.find((value) => !Number.isFinite(value));
  if (odd === undefined) return;
  throw new RangeError(`Cannot ${verb}: they must be finite numbers: current value is ${odd}`);
}
