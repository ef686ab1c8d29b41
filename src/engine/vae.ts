/**
 * Latents to pictures and back, on a backend.
 *
 * A picture larger than a tile is decoded in tiles. What would make them differ from the whole is not left to
 * blending: the middle, with its attention over all pixels, runs on the whole latent, and norms
 * take statistics of the whole picture, which a first pass over its parts measures.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend } from "../backend/backend.ts";
import type { Vae } from "../model/vae.ts";
import { elementCount, type Tensor, zeros } from "../tensor/tensor.ts";
import { joinRows, sliceRows } from "../tensor/rows.ts";
import { fitColours, type LatentColours, paintLatents, sampleLatents } from "./latent_colours.ts";
import * as tiles from "./tiles.ts";
import { VaeGraphs } from "./vae_graphs.ts";
import { Statistics } from "./group_statistics.ts";

/** How to decode. */
export interface DecodeOptions {
  /** Stops between graphs. */
  readonly signal?: AbortSignal | undefined;
  /** Longest side, in latent pixels, that is decoded at once; {@link DEFAULT_TILE} unless given. */
  readonly tile?: number | undefined;
}

/** Longest side of a latent that is decoded at once, unless told otherwise: 512 pixels for a scale of 8. */
export const DEFAULT_TILE = 64;

/** An autoencoder on a backend; its sessions are loaded when first used and live until it is disposed. */
export class VaeExecutor {
  readonly #graphs: VaeGraphs;
  #colours: Promise<LatentColours> | undefined;

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
    const { signal, tile = DEFAULT_TILE } = options;
    checkPictures(latents, { verb: "decode latents", channels: latentChannels, multiple: 1 });
    if (!Number.isInteger(tile) || tile < 2 * reach) {
      throw new RangeError(
        `Cannot decode latents: tile must be a whole number >= ${
          2 * reach
        }: current value is ${tile}`,
      );
    }
    return await eachRow(latents, (latent) => this.#decodeOne(latent, { signal, tile }));
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

  #fitted(options: Pick<DecodeOptions, "signal">): Promise<LatentColours> {
    this.#colours ??= this.#fit(options).catch((error) => {
      this.#colours = undefined;
      throw error;
    });
    return this.#colours;
  }

  async #fit(options: Pick<DecodeOptions, "signal">): Promise<LatentColours> {
    const latents = sampleLatents(this.vae.latentChannels);
    return fitColours(latents, await this.decode(latents, options));
  }

  async #decodeOne(latent: Tensor, { signal, tile }: TiledCall): Promise<Tensor> {
    const [, , height = 0, width = 0] = latent.dims;
    if (height <= tile && width <= tile) return await this.#graphs.decode(latent, signal);
    const features = await this.#graphs.decodeMiddle(latent, signal);
    const statistics = await this.#measure(features, { signal, tile });
    return await this.#decodeTiles(features, { signal, tile, statistics });
  }

  /** Statistics of the whole picture, put together from parts that share nothing. */
  async #measure(features: Tensor, { signal, tile }: TiledCall): Promise<Statistics> {
    const [, , height = 0, width = 0] = features.dims;
    const [rows, columns] = [tiles.partsOf(height, tile), tiles.partsOf(width, tile)];
    const statistics = new Statistics();
    for (const part of tiles.tilesOf(rows, columns)) {
      await this.#graphs.decodePart(tiles.crop(features, part), { signal, measure: statistics });
    }
    return statistics;
  }

  async #decodeTiles(
    features: Tensor,
    { signal, tile, statistics }: TiledCall & { readonly statistics: Statistics },
  ): Promise<Tensor> {
    const { scale, reach } = this.vae;
    const [, , height = 0, width = 0] = features.dims;
    const sizes = { tile, overlap: reach };
    const spans = [tiles.spansOf(height, sizes), tiles.spansOf(width, sizes)] as const;
    const [rows, columns] = spans.map((side) => side.map((span) => tiles.enlarged(span, scale)));
    const [down, across] = [tiles.fadesOf(rows!), tiles.fadesOf(columns!)]; // two sides
    const picture = zeros([1, 3, height * scale, width * scale]);
    for (const [i, span] of spans[0].entries()) {
      for (const [j, column] of spans[1].entries()) {
        const cut = tiles.crop(features, { rows: span, columns: column });
        const pixels = await this.#graphs.decodePart(cut, { signal, given: statistics });
        const shares = { rows: down[i]!, columns: across[j]! }; // one for each span
        tiles.layTile(picture, pixels, { rows: rows![i]!, columns: columns![j]!, shares }); // as above
      }
    }
    return picture;
  }
}

interface TiledCall {
  readonly signal: AbortSignal | undefined;
  readonly tile: number;
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
