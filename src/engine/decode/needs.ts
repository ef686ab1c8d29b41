/**
 * How much memory an autoencoder needs, computed from its graphs before anything is loaded.
 */

import type { LayerStep, MiddleGraphs } from "../../model/vae/layer_step.ts";
import type { Vae } from "../../model/vae/vae.ts";
import type { GraphBuilder } from "../../onnx/graph.ts";
import { graphBytes } from "../memory/needs.ts";
import { workingSet } from "../memory/working_set.ts";
import { queriesAtOnce } from "./chunked_attention.ts";
import { DEFAULT_TILE } from "./vae.ts";

/** What one half of an autoencoder takes, in bytes: weights from its first use on, values while it runs. */
export interface AutoencoderNeeds {
  /** `decoder`, after the loop of every run; `encoder`, before that of a run which begins from a picture. */
  readonly half: "decoder" | "encoder";
  /** Weights of all graphs. */
  readonly weights: number;
  /** How many graphs it has. */
  readonly graphs: number;
  /** The most that one graph holds while it runs, for one picture. */
  readonly largestSet: number;
}

/** Rows and columns. */
type Area = readonly [height: number, width: number];

/** Needs of the halves that an autoencoder has, for pictures of latents of so many rows and columns. */
export function autoencoderNeeds(vae: Vae, latent: Area): readonly AutoencoderNeeds[] {
  const part = within(latent, DEFAULT_TILE);
  const decoder = needsOf("decoder", { middle: vae.middle, latent, steps: vae.up, first: part });
  if (vae.encoder === undefined) return [decoder];
  const { middle, down: steps } = vae.encoder;
  const [height, width] = part;
  const first = [height * vae.scale, width * vae.scale] as const;
  return [decoder, needsOf("encoder", { middle, latent, steps, first })];
}

/** What is computed at once of a picture, or as much: the middle alone always takes all of it. */
function within([height, width]: Area, tile: number): Area {
  if (height * width <= tile ** 2) return [height, width];
  return [tile, tile];
}

function needsOf(
  half: AutoencoderNeeds["half"],
  { middle, latent, steps, first }: {
    readonly middle: MiddleGraphs;
    readonly latent: Area;
    readonly steps: readonly LayerStep[];
    readonly first: Area;
  },
): AutoencoderNeeds {
  const graphs = [...graphsOf(middle), ...steps.map(({ graph }) => graph)];
  return {
    half,
    weights: graphs.reduce((sum, graph) => sum + graphBytes(graph), 0),
    graphs: graphs.length,
    largestSet: Math.max(...middleSets(middle, latent), ...stepSets(steps, first)),
  };
}

function graphsOf({ before, attention, after }: MiddleGraphs): readonly GraphBuilder[] {
  return [before, attention, after].filter((graph) => graph !== undefined);
}

function middleSets(middle: MiddleGraphs, [H, W]: Area): readonly number[] {
  const pixels = H * W;
  const width = Number(middle.attention?.inputs[0]?.dims[2] ?? 1);
  const queries = Math.min(pixels, queriesAtOnce({ dims: [1, pixels, width] }));
  const sizes = { N: 1, H, W, pixels, queries };
  return graphsOf(middle).map((graph) => workingSet(graph, sizes));
}

/** Of steps that begin with a picture of this size. */
function stepSets(steps: readonly LayerStep[], first: Area): readonly number[] {
  let [H, W] = first;
  return steps.map(({ kind, graph }) => {
    const set = workingSet(graph, { N: 1, H, W, "H/2": H / 2, "W/2": W / 2 });
    const factor = kind === "double" ? 2 : kind === "halve" ? 0.5 : 1;
    [H, W] = [H * factor, W * factor];
    return set;
  });
}
