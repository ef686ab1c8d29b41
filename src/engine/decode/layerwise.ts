/**
 * Takes a large picture through a half of an autoencoder layer by layer, each in bands of rows that fit the device.
 *
 * Between layers the whole picture is on the host, where the statistics of the next norm are computed: the numbers
 * are those of a picture in one piece, without seams, and the device holds only one band at a time. A band
 * includes one row of each neighbour, for the 3 × 3 convolution.
 */

import type { LayerStep } from "../../model/vae/layer_step.ts";
import { GIVEN } from "../../model/vae/blocks.ts";
import { discard, type Tensor } from "../../tensor/tensor.ts";
import { Statistics } from "./group_statistics.ts";
import { RowStore } from "./row_store.ts";
import type { PartCall, VaeGraphs } from "./vae_graphs.ts";

export interface BandOptions {
  readonly steps: readonly LayerStep[];
  /** Rows of a band where it begins; they can be halved as often as the steps do. */
  readonly rows: number;
  readonly signal: AbortSignal | undefined;
}

/** The picture between two layers, and the shortcut around the next. */
interface Streams {
  readonly x: RowStore;
  readonly skip?: RowStore | undefined;
}

/** Runs steps over a picture `(1, C, H, W)`, which is consumed. */
export async function runInBands(
  graphs: VaeGraphs,
  picture: Tensor,
  { steps, rows, signal }: BandOptions,
): Promise<Tensor> {
  let streams: Streams = { x: new RowStore() };
  streams.x.append({ tensor: picture, first: 0, count: picture.dims[2]! }); // rank 4
  let height = rows;
  for (const step of steps) {
    streams = await runLayer(graphs, step, { streams, rows: height, signal });
    height *= growthOf(step);
  }
  return streams.x.read(0, streams.x.height);
}

/** What a step multiplies sides by. */
function growthOf({ kind }: LayerStep): number {
  return kind === "double" ? 2 : kind === "halve" ? 1 / 2 : 1;
}

interface LayerOptions extends Omit<BandOptions, "steps"> {
  readonly streams: Streams;
}

/** Runs one layer; rows that it has consumed are released on the way. */
async function runLayer(
  graphs: VaeGraphs,
  step: LayerStep,
  { streams: { x, skip }, rows, signal }: LayerOptions,
): Promise<Streams> {
  const call: PartCall = { signal, given: statisticsOf(x, step) };
  const [made, round] = [new RowStore(), new RowStore()];
  const { kind, graph } = step;
  const staying = kind === "enter" && !graph.outputs.some(({ name }) => name === "round");
  const used = kind === "leave" ? skip : undefined;
  const { height } = x;
  for (let first = 0; first < height; first += rows) {
    const count = Math.min(rows, height - first);
    const top = kind === "halve" ? 0 : Math.min(1, first); // its windows begin in their own rows
    const below = Math.min(1, height - first - count);
    const reach = [first - top, top + count + below] as const;
    const given = { x: x.read(...reach), ...(used && { skip: used.read(...reach) }) };
    const results = await graphs.runStep(step, given, call);
    for (const { data } of Object.values(given)) discard(data);
    const own = { first: top * growthOf(step), count: count * growthOf(step) };
    made.append({ tensor: results["y"]!, ...own });
    if (results["round"] !== undefined) round.append({ tensor: results["round"], ...own });
    const done = first + count === height ? height : first + count - 1; // the next band needs a row of this one
    if (!staying) x.release(done);
    used?.release(done);
  }
  if (kind === "enter") return { x: made, skip: staying ? x : round };
  return { x: made, skip: kind === "within" ? skip : undefined };
}

/** Statistics of the norm that a layer begins with; empty if it has none. */
function statisticsOf(x: RowStore, { graph }: LayerStep): Statistics {
  const statistics = new Statistics();
  for (const { name, dims } of graph.inputs) {
    if (!name.startsWith(GIVEN)) continue;
    const norm = name.slice(GIVEN.length);
    for (const band of x.bands) statistics.addRows(norm, band, Number(dims[1])); // (2, groups, 1)
  }
  return statistics;
}

/**
 * Most bytes that a picture takes on the host between layers, for one of this size where the steps begin: the
 * layer's input or its result, since bands of the input are released as bands of the result are added.
 */
export function bytesBetweenLayers(
  steps: readonly LayerStep[],
  [height, width]: readonly [number, number],
): number {
  let [pixels, round, most] = [height * width, 0, 0];
  for (const step of steps) {
    const { kind, graph } = step;
    const given = Number(graph.inputs[0]!.dims[1]) * pixels; // the first is x
    pixels *= growthOf(step) ** 2;
    const out = Number(graph.outputs.find(({ name }) => name === "y")!.node.dims[1]) * pixels;
    const mixed = graph.outputs.some(({ name }) => name === "round");
    const after = kind === "within" ? round : kind !== "enter" ? 0 : mixed ? out : given;
    most = Math.max(most, given + round, out + after);
    round = after;
  }
  return 4 * most;
}
