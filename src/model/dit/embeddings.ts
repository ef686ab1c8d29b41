/**
 * The embeddings of DiT: sin-cos token positions, which are fixed; time and label.
 */

import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import { add, gatherRows } from "../../onnx/operators.ts";
import { embedder } from "../blocks/time_features.ts";
import { type DitConfig, labelRows } from "./config.ts";

const MAX_PERIOD = 10000;

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

/** Time features `(R, …)` and labels `(R)` to the sum of their embeddings `(R, D)`. */
export function timeAndLabel(
  graph: GraphBuilder,
  config: DitConfig,
  { times, labels }: { readonly times: Node; readonly labels: Node },
): Node {
  const width = config.hiddenSize;
  const time = embedder(graph, times, ["t_embedder.mlp.0", "t_embedder.mlp.2"], width);
  const table = graph.parameter("y_embedder.embedding_table.weight", [labelRows(config), width]);
  return add(graph, time, gatherRows(graph, table, labels));
}
