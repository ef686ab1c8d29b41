/**
 * The scene of a run: the conditions of a request, checked and turned into what graphs take. Everything in
 * which class-conditional and text-conditioned models differ is here, so that the engine need not know.
 */

import { elementCount, type Tensor } from "../tensor/tensor.ts";
import type { Condition, Transformer } from "./module_graph.ts";

/** Tensors that pictures are conditioned on, by the family's names; labels select rows. */
export type Conditions = Readonly<Record<string, Tensor>>;

/** The parts of a request that a scene depends on. */
export interface SceneRequest {
  /** What labels select from; absent = nothing, or the model's classes. */
  readonly conditions?: Conditions | undefined;
  /** What the null half of a batch is conditioned on; where a scale is an input of the model, it runs one then. */
  readonly negative?: Conditions | undefined;
  /** Size of a picture in tokens, such as rows and columns; absent = the noise's or the model's own. */
  readonly grid?: readonly number[] | undefined;
  /** Shape of the starting noise, if it is given. */
  readonly noiseDims?: readonly number[] | undefined;
}

/** At which time a batch is computed, and how it is guided. */
export interface BatchMoment extends Pick<Condition, "length" | "left"> {
  readonly time: number;
  /** Guidance scale; of the first picture where each has its own. */
  readonly guidance: number;
  /** Guidance scale of each picture, where each has its own. */
  readonly scales?: readonly number[] | undefined;
}

/** What a run computes with, besides latents and times. */
export interface Scene {
  /** The model at the sizes of this run: its graphs are the same, its costs are not. */
  readonly transformer: Transformer;
  /** Shape of one picture's latents. */
  readonly latentDims: readonly number[];
  /** The axis of a batch of latents whose parts are channels: what is guided, or predicted beside the noise. */
  readonly channelAxis: number;
  readonly tokens: number;
  /** Size of a picture in tokens, such as rows and columns, where they form a grid. */
  readonly tokenGrid?: readonly number[];
  /** How many conditions the request gave: labels are 0 … conditions − 1; absent = the model's classes. */
  readonly conditions?: number;
  /** What `guidance` is: a null half's scale, or an input of the model; absent = the model has none. */
  readonly guidedBy?: "halves" | "scale";
  /** Conditions of a batch at a time: one for each label; then the null half, where there is one. */
  batch(labels: readonly number[], at: BatchMoment): Condition[];
  /** Latents as planes `(n, C, H, W)`. */
  planes(latents: Tensor): Tensor;
  /** Planes `(n, C, H, W)` as latents; undoes {@linkcode planes}. */
  latents(planes: Tensor): Tensor;
  /** Inputs of the preparation, a row for each of a batch; and constants that need none, the same for all its rows. */
  inputs(batch: readonly Condition[]): Readonly<Record<string, Tensor>>;
}

export interface LabelledModel {
  readonly transformer: Transformer;
  /** Latent shape `[C, H, W]`. */
  readonly latent: readonly number[];
  /** Size of a picture in tokens. */
  readonly tokenGrid: readonly number[];
  /** The label that stands for "no label"; absent when the model has none and cannot be guided. */
  readonly nullLabel: number | undefined;
}

/** The scene of a class-conditional model: the same for every request, since requests give no conditions. */
export function labelScene(model: LabelledModel): (request: SceneRequest) => Scene {
  const { transformer, latent, tokenGrid, nullLabel } = model;
  const scene: Scene = {
    transformer,
    latentDims: latent,
    channelAxis: 1,
    tokens: elementCount(tokenGrid),
    tokenGrid,
    ...(nullLabel !== undefined && { guidedBy: "halves" }),
    batch(labels, { time, guidance, length = 0, left = 0 }): Condition[] {
      const at = transformer.depthGroup === undefined ? { time } : { time, length, left };
      const conditional = labels.map((label) => ({ ...at, label }));
      if (guidance === 1 || nullLabel === undefined) return conditional;
      return [...conditional, ...labels.map(() => ({ ...at, label: nullLabel }))];
    },
    planes: (latents) => latents,
    latents: (planes) => planes,
    inputs: () => ({}),
  };
  return ({ conditions = {}, negative = {}, grid }) => {
    for (const name of Object.keys({ ...conditions, ...negative })) {
      throw new RangeError(
        `Cannot generate: ${name} must not be given to a class-conditional model`,
      );
    }
    if (grid === undefined || `${grid}` === `${tokenGrid}`) return scene;
    throw new RangeError(
      `Cannot generate: grid must be ${tokenGrid.join(" × ")}, the model's own: current value is ` +
        grid.join(" × "),
    );
  };
}

/** Rows of a batch for each picture: 2 where there is a null half. */
export function rowsPerPicture(scene: Scene, guidance: number): number {
  return scene.batch([0], { time: 0, guidance }).length;
}
