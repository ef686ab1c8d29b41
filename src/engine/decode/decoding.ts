/**
 * From a model's latents to pictures: by its autoencoder, or as they are.
 */

import type { Backend } from "../../backend/backend.ts";
import type { Model } from "../../model/model.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type LatentColours, paintLatents } from "./latent_colours.ts";
import { checkLatents, decode, encode, fitPreview } from "./vae.ts";
import { VaeGraphs } from "./vae_graphs.ts";

/** How latents become pictures. */
export interface DecodingOptions {
  /** Size of a picture in tokens, where latents are packed; the model's own unless given. */
  readonly grid?: readonly number[] | undefined;
  /** Stops before the next graph. */
  readonly signal?: AbortSignal | undefined;
}

/** Turns latents into pictures; an autoencoder's sessions are loaded when first used. */
export class Decoding {
  readonly #graphs: VaeGraphs | undefined;
  #colours: LatentColours | undefined;

  /** Loads nothing yet. */
  constructor(readonly model: Model, backend: Backend) {
    const { autoencoder } = model;
    this.#graphs = autoencoder && new VaeGraphs(backend, autoencoder.vae, autoencoder.weights);
  }

  /**
   * Pictures `(n, 1 or 3, H, W)` in about [-1, 1] of latents `(n, C, h, w)`, or packed `(n, T, C)`.
   *
   * @throws {RangeError} When latents do not fit the model, or it has nothing to decode them with.
   * @throws {AssetError} When its directory's autoencoder cannot be used.
   */
  async decode(latents: Tensor, options: DecodingOptions = {}): Promise<Tensor> {
    const planes = this.#planesOf(latents, options);
    if (this.#graphs === undefined) return asPictures(planes, this.model);
    return await decode(this.#graphs, planes, { signal: options.signal });
  }

  /**
   * Latents `(n, C, h, w)`, or packed `(n, T, C)`, of pictures `(n, 1 or 3, H, W)` in [-1, 1].
   *
   * @throws {RangeError} When pictures do not fit the model, or it has nothing to encode them with.
   */
  async encode(pictures: Tensor, { grid, signal }: DecodingOptions = {}): Promise<Tensor> {
    const planes = this.#graphs === undefined
      ? asPictures(pictures, this.model)
      : await encode(this.#graphs, pictures, { signal });
    return this.model.scene({ grid }).latents(planes);
  }

  /**
   * A rough preview `(n, 1 or 3, h, w)` at a small part of a step's cost: with an autoencoder, a linear map of
   * each latent pixel. The first call fits the map, for which it decodes a small sample.
   *
   * @throws {RangeError | AssetError} As {@linkcode Decoding.decode}.
   */
  async preview(latents: Tensor, options: DecodingOptions = {}): Promise<Tensor> {
    const planes = this.#planesOf(latents, options);
    if (this.#graphs === undefined) return asPictures(planes, this.model);
    checkLatents(planes, this.#graphs, "preview");
    // Two concurrent first calls both fit the map: each has its own signal, and the maps are equal.
    this.#colours ??= await fitPreview(this.#graphs, { signal: options.signal });
    return paintLatents(this.#colours, planes);
  }

  async dispose(): Promise<void> {
    await this.#graphs?.dispose();
  }

  #planesOf(latents: Tensor, { grid }: DecodingOptions): Tensor {
    return this.model.scene({ noiseDims: latents.dims, grid }).planes(latents);
  }
}

/** The parts of a model that say how its latents become pictures. */
type Decodable = Pick<Model, "id" | "autoencoder" | "autoencoderError" | "latent">;

/** Why a model's latents cannot become pictures; `undefined` where they can. */
export function decodingError(model: Decodable): Error | undefined {
  const { id, autoencoder, autoencoderError, latent: [channels] } = model;
  if (autoencoderError !== undefined) return autoencoderError;
  if (autoencoder !== undefined || channels === 1 || channels === 3) return undefined;
  return new RangeError(
    `Cannot make pictures: latents of ${id} must have 1 or 3 channels, others need an ` +
      `autoencoder (the directory of its pipeline, with vae/): current value is ${channels}`,
  );
}

/** Why pictures cannot become a model's latents; `undefined` where they can. */
export function encodingError(model: Decodable): Error | undefined {
  const { id, autoencoder } = model;
  const error = decodingError(model);
  if (error !== undefined || autoencoder === undefined) return error;
  if (autoencoder.vae.encoder !== undefined) return undefined;
  return new RangeError(
    `Cannot generate: an image needs an autoencoder that encodes, and that of ${id} has no encoder, ` +
      "or none of a kind that is computed.",
  );
}

/** A picture's shape `[1 or 3, H, W]` for latents of so many rows and columns; `undefined` where none is made. */
export function pictureShape(
  model: Decodable,
  [rows, columns]: readonly [number, number],
): readonly [number, number, number] | undefined {
  if (decodingError(model) !== undefined) return undefined;
  const { autoencoder, latent: [channels = 0] } = model;
  if (autoencoder === undefined) return [channels, rows, columns];
  const { scale } = autoencoder.vae;
  return [3, rows * scale, columns * scale];
}

function asPictures(planes: Tensor, model: Model): Tensor {
  const error = decodingError(model);
  if (error !== undefined) throw error;
  return planes;
}
