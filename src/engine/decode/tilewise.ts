/**
 * Decodes a picture of any size tile by tile: memory beside the picture itself and the middle's result does not
 * grow with it.
 *
 * Tiles overlap by as much as a pixel depends on, ignoring norms, and fade into each other over all of it. Norms
 * need statistics of the whole picture, which can only be estimated here.
 */

import { GIVEN } from "../../model/vae/blocks.ts";
import { type Tensor, zeros } from "../../tensor/tensor.ts";
import { Statistics } from "./group_statistics.ts";
import * as tiles from "./tiles.ts";
import type { VaeGraphs } from "./vae_graphs.ts";

export interface TileOptions {
  /** Longest side of a tile in latent pixels; at least twice the autoencoder's receptive radius. */
  readonly tile: number;
  readonly signal: AbortSignal | undefined;
}

/** Estimates statistics of the whole from parts that do not overlap, each normalised by its own. */
export async function estimateStatistics(
  graphs: VaeGraphs,
  features: Tensor,
  { tile, signal }: TileOptions,
): Promise<Statistics> {
  const [, , height = 0, width = 0] = features.dims;
  const statistics = new Statistics();
  const norms = graphs.vae.up.flatMap(({ graph }) => graph.inputs)
    .filter(({ name }) => name.startsWith(GIVEN));
  if (norms.length === 0) return statistics;
  for (const part of tiles.tilesOf(tiles.partsOf(height, tile), tiles.partsOf(width, tile))) {
    await graphs.decodePart(tiles.crop(features, part), { signal, measure: statistics });
  }
  return statistics;
}

/** Decodes the middle's result to the picture `(1, 3, H, W)`. */
export async function decodeInTiles(
  graphs: VaeGraphs,
  features: Tensor,
  { tile, signal, statistics }: TileOptions & { readonly statistics: Statistics },
): Promise<Tensor> {
  const { scale, reach } = graphs.vae;
  const [, , height = 0, width = 0] = features.dims;
  const sizes = { tile, overlap: reach };
  const [down, across] = [tiles.spansOf(height, sizes), tiles.spansOf(width, sizes)];
  const large = (span: tiles.Span): tiles.Span => tiles.enlarged(span, scale);
  const fades = { down: tiles.fadesOf(down.map(large)), across: tiles.fadesOf(across.map(large)) };
  const picture = zeros([1, 3, height * scale, width * scale]);
  for (const [i, rows] of down.entries()) {
    for (const [j, columns] of across.entries()) {
      const part = tiles.crop(features, { rows, columns });
      const pixels = await graphs.decodePart(part, { signal, given: statistics });
      tiles.layTile(picture, pixels, {
        rows: large(rows),
        columns: large(columns),
        shares: { rows: fades.down[i]!, columns: fades.across[j]! }, // one for each span
      });
    }
  }
  return picture;
}
