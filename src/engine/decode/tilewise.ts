/**
 * Takes a picture of any size through a half of an autoencoder tile by tile: memory beside the picture itself and
 * the latent does not grow with it.
 *
 * Tiles overlap by as much as a pixel depends on, ignoring norms, and fade into each other over all of it. Norms
 * need statistics of the whole picture, which can only be estimated here.
 */

import type { LayerStep } from "../../model/vae/layer_step.ts";
import { GIVEN } from "../../model/vae/blocks.ts";
import { type Tensor, zeros } from "../../tensor/tensor.ts";
import { Statistics } from "./group_statistics.ts";
import * as tiles from "./tiles.ts";
import type { VaeGraphs } from "./vae_graphs.ts";

/** The layers between a latent's size and its picture's, one way or the other. */
export interface Stretch {
  readonly steps: readonly LayerStep[];
  /** Pixels of a side for each of the latent's, where the steps begin and where they end. */
  readonly scales: readonly [number, number];
  /** Receptive radius of a result's pixel, in latent pixels, ignoring norms. */
  readonly reach: number;
}

export interface TileOptions {
  readonly stretch: Stretch;
  /** Longest side of a tile in latent pixels; at least twice the receptive radius. */
  readonly tile: number;
  readonly signal: AbortSignal | undefined;
}

/** Estimates statistics of the whole from parts that do not overlap, each normalised by its own. */
export async function estimateStatistics(
  graphs: VaeGraphs,
  picture: Tensor,
  { stretch: { steps, scales: [scale] }, tile, signal }: TileOptions,
): Promise<Statistics> {
  const statistics = new Statistics();
  const norms = steps.flatMap(({ graph }) => graph.inputs)
    .filter(({ name }) => name.startsWith(GIVEN));
  if (norms.length === 0) return statistics;
  const [rows, columns] = [2, 3].map((axis) =>
    tiles.partsOf(picture.dims[axis]! / scale, tile).map((span) => tiles.enlarged(span, scale))
  );
  for (const part of tiles.tilesOf(rows!, columns!)) {
    const call = { signal, measure: statistics };
    await graphs.runPart(steps, tiles.crop(picture, part), call);
  }
  return statistics;
}

/** Runs a stretch's steps over a picture `(1, C, H, W)`. */
export async function runInTiles(
  graphs: VaeGraphs,
  picture: Tensor,
  { stretch, tile, signal, statistics }: TileOptions & { readonly statistics: Statistics },
): Promise<Tensor> {
  const { steps, scales: [scale, scaleAfter], reach } = stretch;
  const [height, width] = [2, 3].map((axis) => picture.dims[axis]! / scale); // of the latent; rank 4
  const sizes = { tile, overlap: reach };
  const [down, across] = [tiles.spansOf(height!, sizes), tiles.spansOf(width!, sizes)];
  const after = (span: tiles.Span): tiles.Span => tiles.enlarged(span, scaleAfter);
  const fades = { down: tiles.fadesOf(down.map(after)), across: tiles.fadesOf(across.map(after)) };
  const channels = Number(
    steps.at(-1)!.graph.outputs.find(({ name }) => name === "y")!.node.dims[1],
  );
  const result = zeros([1, channels, height! * scaleAfter, width! * scaleAfter]);
  for (const [i, rows] of down.entries()) {
    for (const [j, columns] of across.entries()) {
      const place = { rows: tiles.enlarged(rows, scale), columns: tiles.enlarged(columns, scale) };
      const part = tiles.crop(picture, place);
      const pixels = await graphs.runPart(steps, part, { signal, given: statistics });
      tiles.layTile(result, pixels, {
        rows: after(rows),
        columns: after(columns),
        shares: { rows: fades.down[i]!, columns: fades.across[j]! }, // one for each span
      });
    }
  }
  return result;
}
