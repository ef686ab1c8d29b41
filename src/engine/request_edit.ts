/**
 * A picture that a run begins from, checked and brought to the run's size.
 */

import type { Picture } from "../image/picture.ts";
import { toGrey, toPlanes } from "../image/planes.ts";
import { cropToAspect, type PictureSize, resizePicture } from "../image/resize.ts";
import type { Model } from "../model/model.ts";
import type { Scene } from "../model/scene.ts";
import { type Tensor, zeros } from "../tensor/tensor.ts";
import { encodingError, pictureShape } from "./decode/decoding.ts";
import {
  DEFAULT_STRENGTH,
  type EditRecord,
  maskDigest,
  pictureDigest,
  stepsLeftOut,
} from "./edit_facts.ts";

/** What pictures begin from, instead of noise alone. */
export interface EditOptions {
  /**
   * The picture that all pictures of the run begin from, with noise; transparent parts of it are white. It is cropped
   * around its centre and resized to the size of the run.
   */
  readonly image?: Picture | undefined;
  /** What is repainted, white, and what stays, black; as large as the image. All of it unless given. */
  readonly mask?: Picture | undefined;
  /**
   * Share of the steps that run, above 0 and at most 1: how far pictures may be from the image; 0.6 unless given. 1
   * begins from noise alone, and the image counts only where a mask keeps it.
   */
  readonly strength?: number | undefined;
}

/** An edit at the size of a run. */
export interface ResolvedEdit {
  /** How many of the first steps are left out. */
  readonly from: number;
  /** The image, `(1, 1 or 3, H, W)` in [-1, 1]. */
  readonly planes: Tensor;
  /** 1 where it is repainted, 0 where it stays, of the shape of a picture's latents. */
  readonly mask?: Tensor | undefined;
  readonly record: EditRecord;
  /** What was done to the image, in sentences. */
  readonly notices: readonly string[];
}

/**
 * The edit that options ask for; `undefined` without an image.
 *
 * @throws {RangeError | TypeError} When the model cannot, or an option does not fit.
 */
export function resolveEdit(
  model: Model,
  { image, mask, strength = DEFAULT_STRENGTH }: EditOptions,
  { scene, steps }: { readonly scene: Scene; readonly steps: number },
): ResolvedEdit | undefined {
  if (image === undefined) {
    if (mask !== undefined || strength !== DEFAULT_STRENGTH) {
      refuseAlone(mask ? "mask" : "strength");
    }
    return undefined;
  }
  const refusal = encodingError(model);
  if (refusal !== undefined) throw refusal;
  checkStrength(strength);
  const { latents, picture: [channels, height, width] } = shapesOf(model, scene);
  const size = { width, height };
  const { options, record, notices } = fitEdit({ image, mask, strength }, size);
  const kept = options.mask && maskOf(options.mask, { scene, latents, size });
  return {
    from: stepsLeftOut(steps, strength),
    planes: toPlanes(options.image, channels === 1 ? 1 : 3),
    ...(kept !== undefined && { mask: kept }),
    record,
    notices,
  };
}

/** An edit in the size of its pictures. */
export interface FittedEdit {
  readonly options: EditOptions & { readonly image: Picture; readonly strength: number };
  /** What it was before. */
  readonly record: EditRecord;
  /** What was done to the image, in sentences. */
  readonly notices: readonly string[];
}

/**
 * Crops and resizes an edit.
 *
 * @throws {RangeError | TypeError} When image or mask is no picture, or they differ in size.
 */
export function fitEdit(
  { image, mask, strength }: FittedEdit["options"],
  size: PictureSize,
): FittedEdit {
  checkPicture("image", image);
  if (mask !== undefined) checkMask(mask, image);
  const cropped = cropToAspect(image, size);
  return {
    options: {
      image: resizePicture(cropped, size),
      ...(mask !== undefined && { mask: resizePicture(cropToAspect(toGrey(mask), size), size) }),
      strength,
    },
    record: {
      image: pictureDigest(image),
      ...(mask !== undefined && { mask: maskDigest(mask) }),
      strength,
    },
    notices: fitNotices([image, cropped, size]),
  };
}

/** What cropping, and then resizing, did to an image of the first of three sizes. */
function fitNotices(sizes: readonly [PictureSize, PictureSize, PictureSize]): string[] {
  const [before, cropped, after] = sizes.map(({ width, height }) => `${width} × ${height}`);
  const done = [
    ...(cropped !== before ? [`cropped to ${cropped} around its centre`] : []),
    ...(after !== cropped ? [`resized to ${after}`] : []),
  ];
  return done.length === 0 ? [] : [`The image of ${before} was ${done.join(" and ")}.`];
}

/** Shapes of one picture's latents as planes, and of the picture. */
function shapesOf(
  model: Model,
  scene: Scene,
): { readonly latents: readonly number[]; readonly picture: readonly [number, number, number] } {
  if (scene.tokenGrid === undefined) {
    throw new RangeError(
      "Cannot generate: image needs a grid of tokens: current value is image_ids of another form",
    );
  }
  const latents = scene.planes(zeros([1, ...scene.latentDims])).dims;
  const [, , rows = 0, columns = 0] = latents;
  return { latents, picture: pictureShape(model, [rows, columns])! }; // it can be encoded
}

/**
 * A grey mask of the picture's size in the shape of latents: made black or white, then every so manyth pixel.
 *
 * *Source:* diffusers `FluxInpaintPipeline`: `mask_processor` with `do_binarize`, then `interpolate()`.
 */
function maskOf(
  { pixels }: Picture,
  { scene, latents: [, channels = 0, rows = 0, columns = 0], size: { width, height } }: {
    readonly scene: Scene;
    readonly latents: readonly number[];
    readonly size: PictureSize;
  },
): Tensor {
  const planes = zeros([1, channels, rows, columns]);
  for (let i = 0; i < planes.data.length; i++) {
    const [x, y] = [i % columns, Math.floor(i / columns) % rows];
    const pixel = Math.floor(y * height / rows) * width + Math.floor(x * width / columns);
    planes.data[i] = pixels[pixel]! >= 128 ? 1 : 0;
  }
  return scene.latents(planes);
}

/** @throws {TypeError | RangeError} When it is no picture. */
function checkPicture(what: string, picture: Picture): void {
  const { width, height, channels, pixels } = picture ?? {}; // callers in JavaScript have no types
  const isSize = [width, height].every((side) => Number.isInteger(side) && side >= 1);
  if (isSize && [1, 3, 4].includes(channels) && pixels?.length === width * height * channels) {
    return;
  }
  throw new TypeError(
    `Cannot generate: ${what} must be a picture, its width × height × channels (1, 3 or 4) in pixels: ` +
      `current value is ${width} × ${height} × ${channels}, ${pixels?.length} pixels`,
  );
}

function checkMask(mask: Picture, image: Picture): void {
  checkPicture("mask", mask);
  if (mask.width === image.width && mask.height === image.height) return;
  throw new RangeError(
    `Cannot generate: mask must be ${image.width} × ${image.height}, as the image is: ` +
      `current value is ${mask.width} × ${mask.height}`,
  );
}

function checkStrength(strength: number): void {
  if (strength > 0 && strength <= 1) return;
  throw new RangeError(
    `Cannot generate: strength must be above 0 and at most 1: current value is ${strength}`,
  );
}

function refuseAlone(what: string): never {
  throw new TypeError(`Cannot generate: ${what} must be given together with an image`);
}
