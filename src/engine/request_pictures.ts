/**
 * The pictures of a request: how many, of what, from which noise.
 */

import type { Model } from "../model/model.ts";
import type { Scene } from "../model/scene.ts";
import { normalRows } from "../tensor/random.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";
import { findLabel, wantedLabel } from "./class_names.ts";

/** Which pictures to make. */
export interface PictureOptions {
  /** Class index or name; for a text-conditioned model, the row of text. */
  readonly label?: number | string;
  /**
   * One label for each picture; the first ten classes unless given, or every row of text once. With `count`
   * they are taken in turn.
   */
  readonly labels?: readonly (number | string)[] | undefined;
  /** How many pictures; one for each label, or for each of `seeds`, unless given. */
  readonly count?: number | undefined;
  /** Noise of picture i comes from `seed + i`; 0 unless given. */
  readonly seed?: number;
  /** A seed for each picture, instead of `seed`. */
  readonly seeds?: readonly number[];
  /** Starting noise `(n, C, H, W)`, or packed `(n, T, C)`, instead of a seed. */
  readonly noise?: Tensor | undefined;
}

/** What each picture is of, and what it begins from. */
export interface ResolvedPictures {
  /** Class of each picture, or row of the conditions. */
  readonly labels: readonly number[];
  /** Seed of each picture; empty where noise was given. */
  readonly seeds: readonly number[];
  /** Starting noise `(n, C, H, W)`, or packed `(n, T, C)`. */
  readonly noise: Tensor;
}

/** Pictures of one call. */
const MAX_PICTURES = 100_000;
/** Numbers of the noise of all of them: 2 GiB, which is 2,048 pictures of 1024² by FLUX. */
const MOST_NOISE = 2 ** 29;

/**
 * Fills in labels and seeds, and makes the noise.
 *
 * @throws {RangeError} When a label, a seed, the count or the noise is out of range.
 * @throws {TypeError} When both `label` and `labels` are given.
 */
export function resolvePictures(
  model: Model,
  scene: Scene,
  options: PictureOptions,
): ResolvedPictures {
  const labels = resolveLabels(model, options, scene);
  const seeds = resolveSeeds(options, labels.length);
  const dims = [labels.length, ...scene.latentDims];
  return { labels, seeds, noise: resolveNoise(options, { seeds, dims }) };
}

/**
 * The index of a class given by name (letter case does not matter) or by index.
 *
 * @throws {RangeError} When there is no such class.
 */
export function resolveLabel(
  model: Model,
  label: number | string,
  count: number = model.classes,
): number {
  const classes = { classes: count, classNames: model.classNames };
  const found = findLabel(label, classes);
  if (found !== undefined) return found;
  throw new RangeError(
    `Cannot generate: label must be ${wantedLabel(label, classes)}: current value is ${label}`,
  );
}

function resolveLabels(
  model: Model,
  { label, labels, count: wanted, seeds }: PictureOptions,
  { conditions }: Scene,
): number[] {
  if (label !== undefined && labels !== undefined) {
    throw new TypeError("Cannot generate: label must not be given together with labels");
  }
  const count = conditions ?? model.classes;
  if (count === 0) {
    throw new RangeError(
      `Cannot generate: text and pooled must be given to ${model.id}: current value is none`,
    );
  }
  const length = conditions ?? Math.min(model.classes, 10);
  const first = Array.from({ length }, (_, label) => label);
  const given = label === undefined ? labels : [label];
  const cycle = given?.map((each) => resolveLabel(model, each, count)) ?? first;
  if (cycle.length === 0) {
    throw new RangeError(
      "Cannot generate: labels must name at least one class: current value is none",
    );
  }
  const pictures = wanted ?? (label === undefined ? cycle.length : seeds?.length ?? 1);
  checkWithin("count", pictures, 1, MAX_PICTURES);
  return Array.from({ length: pictures }, (_, i) => cycle[i % cycle.length]!);
}

/** Seeds are checked even where noise is given; the result is then empty. */
function resolveSeeds({ seed = 0, seeds, noise }: PictureOptions, pictures: number): number[] {
  if (seeds !== undefined && seeds.length !== pictures) {
    throw new RangeError(
      `Cannot generate: seeds must be ${pictures}, one for each picture: ` +
        `current value is ${seeds.length}`,
    );
  }
  checkWithin("seed", seed, 0, Number.MAX_SAFE_INTEGER - pictures);
  for (const each of seeds ?? []) checkWithin("seed", each, 0, Number.MAX_SAFE_INTEGER);
  if (noise !== undefined) return [];
  return seeds === undefined ? Array.from({ length: pictures }, (_, i) => seed + i) : [...seeds];
}

/** Makes the noise, here only: picture i's depends on seed i alone. */
function resolveNoise(
  { noise }: PictureOptions,
  { seeds, dims }: { readonly seeds: readonly number[]; readonly dims: readonly number[] },
): Tensor {
  if (noise !== undefined) {
    checkNoise(noise, dims);
    return noise;
  }
  const [count = 0, ...one] = dims;
  checkWithin("count", count, 1, Math.floor(MOST_NOISE / elementCount(one)));
  return normalRows(one, seeds);
}

function checkNoise({ dims, data }: Tensor, wanted: readonly number[]): void {
  if (`${dims}` !== `${wanted}`) {
    throw new RangeError(`Cannot generate: noise must be [${wanted}]: current value is [${dims}]`);
  }
  if (data.length !== elementCount(wanted)) {
    throw new RangeError(
      `Cannot generate: noise must have ${
        elementCount(wanted)
      } numbers: current value is ${data.length}`,
    );
  }
  if (data.every(Number.isFinite)) return;
  throw new RangeError("Cannot generate: noise must be finite numbers");
}

/** Refuses what is no integer within these. */
export function checkWithin(what: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `Cannot generate: ${what} must be an integer in ${least} … ${most}: current value is ${value}`,
  );
}
