/**
 * The scene of a FLUX run: text and pooled text features, and the position of each token of a picture.
 */

import { joinRows, sliceRows } from "../../tensor/rows.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { ROTATION } from "./attention.ts";
import type { FluxConfig } from "./config.ts";
import { gridIds, gridOf, rotationTables, scaledTimeFeatures } from "./embeddings.ts";
import { flux, TEXT_FEATURES } from "./flux.ts";
import type { Condition } from "../module_graph.ts";
import type { Conditions, Scene, SceneRequest } from "../scene.ts";

/** Size of a picture in tokens. */
export type Grid = readonly [rows: number, columns: number];

/** *Source:* diffusers `FluxPipeline`: 1024² pictures, `max_sequence_length=512`. */
export const DEFAULT_GRID: Grid = [64, 64];
/** A picture of 4096² with FLUX's autoencoder. Whoever asks for more is refused before its positions are made. */
const MOST_TOKENS = 256 * 256;
/** Text tokens that costs assume where there is no text. */
const DEFAULT_TEXT_TOKENS = 512;

/**
 * The scene of a request. Without text there is none to run, but its sizes and costs are known.
 *
 * @param own Size of a picture where the request says none.
 *
 * @throws {RangeError} When shapes do not fit the model or each other; names which, wanted and given.
 */
export function fluxScene(
  config: FluxConfig,
  request: SceneRequest,
  own: Grid = DEFAULT_GRID,
): Scene {
  const { text, pooled, conditions, negatives } = halvesOf(config, request);
  const { ids, grid } = positionsOf(config, request, own);
  const [tokens = 0] = ids.dims;
  const [, textTokens] = text?.dims ?? [0, DEFAULT_TEXT_TOKENS];
  return {
    transformer: flux(config, { T: tokens, M: textTokens! }), // text has rank 3
    latentDims: [tokens, config.inChannels],
    channelAxis: 2,
    tokens,
    ...(grid !== undefined && { tokenGrid: grid }),
    conditions,
    ...(config.guidanceEmbeds && { guidedBy: "scale" }),
    batch(labels, { time, guidance, scales }): Condition[] {
      const rowOf = (label: number, i: number): Condition => {
        const scale = scales?.[i] ?? guidance; // the null half has it too
        return { time, label, scale, vector: vectorOf(config, pooled, { label, scale }) };
      };
      const positive = labels.map(rowOf);
      if (negatives === 0) return positive;
      return [...positive, ...labels.map((label, i) => rowOf(conditions + label % negatives, i))];
    },
    planes: (latents) => unpack(latents, grid ?? [1, tokens]),
    latents: pack,
    inputs(batch): Readonly<Record<string, Tensor>> {
      if (text === undefined) refuse("text", `given: (n, M, ${config.jointDim})`, "none");
      const { cos, sin } = rotationTables(ids, {
        axesDims: config.axesDims,
        textTokens: textTokens!,
      });
      return {
        [TEXT_FEATURES]: joinRows(batch.map(({ label }) => sliceRows(text, label, 1))),
        [ROTATION.cos]: cos,
        [ROTATION.sin]: sin,
      };
    },
  };
}

/**
 * Packed latents `(n, T, 4·C)` as planes `(n, C, 2·rows, 2·columns)`; tokens without a grid lie in one row.
 *
 * *Source:* diffusers `FluxPipeline._unpack_latents`.
 */
export function unpack(
  { dims: [n = 0, tokens = 0, packed = 0], data }: Tensor,
  [rows, columns]: readonly [number, number],
): Tensor {
  const channels = packed / 4;
  const planes = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) planes[placeOf(i, { tokens, packed, columns })] = data[i]!;
  return { dims: [n, channels, 2 * rows, 2 * columns], data: planes };
}

/**
 * Planes `(n, C, 2·rows, 2·columns)` as packed latents `(n, T, 4·C)`; undoes {@link unpack}.
 *
 * *Source:* diffusers `FluxPipeline._pack_latents`.
 */
export function pack({ dims: [n = 0, channels = 0, height = 0, width = 0], data }: Tensor): Tensor {
  const [tokens, packed, columns] = [height * width / 4, 4 * channels, width / 2];
  const latents = data.map((_, i) => data[placeOf(i, { tokens, packed, columns })]!);
  return { dims: [n, tokens, packed], data: latents };
}

/** Where a number of packed latents is among the planes: a token is 2 × 2 of each channel. */
function placeOf(
  i: number,
  { tokens, packed, columns }: {
    readonly tokens: number;
    readonly packed: number;
    readonly columns: number;
  },
): number {
  const picture = Math.floor(i / (tokens * packed));
  const token = Math.floor(i / packed) % tokens;
  const place = i % packed;
  const y = 2 * Math.floor(token / columns) + Math.floor(place / 2) % 2;
  const x = 2 * (token % columns) + place % 2;
  const plane = picture * packed / 4 + Math.floor(place / 4);
  return (plane * tokens * 2 / columns + y) * 2 * columns + x; // of so many rows
}

/** Pooled text features of a label, then the features of the guidance scale where the model has it. */
function vectorOf(
  { pooledDim, guidanceEmbeds }: FluxConfig,
  pooled: Tensor | undefined,
  { label, scale }: { readonly label: number; readonly scale: number },
): Float32Array {
  const features = guidanceEmbeds ? scaledTimeFeatures(scale) : new Float32Array(0);
  const vector = new Float32Array(pooledDim + features.length);
  if (pooled !== undefined) {
    vector.set(pooled.data.subarray(label * pooledDim, (label + 1) * pooledDim));
  }
  vector.set(features, pooledDim);
  return vector;
}

/** Names of the tensors that FLUX is conditioned on, as files have them; the first has a row for each condition. */
export const CONDITIONS = ["text", "pooled", "image_ids"] as const;

/** Conditions with those of the null half after them. */
interface Halves {
  /** `(conditions + negatives, M, W)`; absent where there is none, as `pooled`. */
  readonly text?: Tensor | undefined;
  /** `(conditions + negatives, P)`. */
  readonly pooled?: Tensor | undefined;
  readonly conditions: number;
  /** 1 for all pictures, or one for each condition; 0 without a null half. */
  readonly negatives: number;
}

function halvesOf(config: FluxConfig, { conditions, negative }: SceneRequest): Halves {
  const { text, pooled } = textOf(config, conditions);
  const { image_ids: ids, ...others } = negative ?? {};
  if (ids !== undefined) refuse("negative conditions", "text and pooled", "image_ids");
  const nulls = textOf(config, others);
  const [rows = 0, tokens] = text?.dims ?? [];
  if (text === undefined || nulls.text === undefined) {
    if (nulls.text !== undefined) refuse("text", "given with negative conditions", "none");
    return { text, pooled, conditions: rows, negatives: 0 };
  }
  const [negatives = 0, more] = nulls.text.dims;
  if (more !== tokens || (negatives !== 1 && negatives !== rows)) {
    const wanted = rows === 1 ? "1" : `1 or ${rows}`;
    const [, , width] = text.dims;
    refuse("negative text", `[${wanted},${tokens},${width}]`, `[${nulls.text.dims}]`);
  }
  return {
    text: joinRows([text, nulls.text]),
    pooled: joinRows([pooled!, nulls.pooled!]), // given with text
    conditions: rows,
    negatives,
  };
}

/** Text features `(n, M, W)` and pooled ones `(n, P)`, or neither. */
function textOf(
  { jointDim, pooledDim }: FluxConfig,
  conditions: Conditions = {},
): { readonly text?: Tensor; readonly pooled?: Tensor } {
  const strange = Object.keys(conditions).find((name) => !CONDITIONS.some((it) => it === name));
  if (strange !== undefined) refuse("conditions", CONDITIONS.join(", "), strange);
  const { text, pooled } = conditions;
  if (text === undefined && pooled === undefined) return {};
  if (text === undefined) {
    return refuse("text", `given with pooled: (${pooled!.dims[0]}, M, ${jointDim})`, "none");
  }
  const [rows = 0, tokens = 0, width] = text.dims;
  if (text.dims.length !== 3 || rows < 1 || tokens < 1 || width !== jointDim) {
    refuse("text", `(n, M, ${jointDim})`, `[${text.dims}]`);
  }
  if (pooled === undefined) {
    return refuse("pooled", `given with text: (${rows}, ${pooledDim})`, "none");
  }
  if (`${pooled.dims}` !== `${[rows, pooledDim]}`) {
    refuse("pooled", `[${rows},${pooledDim}], a row for each of text`, `[${pooled.dims}]`);
  }
  checkFinite("text", text);
  checkFinite("pooled", pooled);
  return { text, pooled };
}

interface Positions {
  /** `(T, axes)`. */
  readonly ids: Tensor;
  /** Absent when the positions are not a grid's. */
  readonly grid: Grid | undefined;
}

/** Positions as given, else a grid's: the one that is given, or the model's own. */
function positionsOf(config: FluxConfig, request: SceneRequest, ownGrid: Grid): Positions {
  const { conditions: { image_ids: imageIds } = {}, noiseDims } = request;
  const axes = config.axesDims.length;
  const grid = request.grid && pairOf(request.grid);
  if (imageIds === undefined) {
    const own = grid ?? ownGrid;
    checkTokens("grid", own[0] * own[1], noiseDims);
    return { ids: gridIds(own, axes), grid: own };
  }
  const [tokens = 0, width] = imageIds.dims;
  if (imageIds.dims.length !== 2 || tokens < 1 || width !== axes) {
    refuse("image_ids", `(T, ${axes})`, `[${imageIds.dims}]`);
  }
  checkFinite("image_ids", imageIds);
  if (grid !== undefined && grid[0] * grid[1] !== tokens) {
    const wanted = `${grid[0] * grid[1]} rows, as grid ${grid.join(" × ")} has tokens`;
    refuse("image_ids", wanted, tokens);
  }
  checkTokens("image_ids", tokens, noiseDims);
  const found = gridOf(imageIds);
  if (grid !== undefined && found !== undefined && `${grid}` !== `${found}`) {
    refuse("grid", `${found.join(" × ")}, as image_ids are`, grid.join(" × "));
  }
  return { ids: imageIds, grid: grid ?? found };
}

function pairOf(grid: readonly number[]): Grid {
  const [rows = 0, columns = 0, ...more] = grid;
  const isPair = more.length === 0 && grid.every((size) => Number.isInteger(size) && size >= 1);
  if (!isPair || columns === 0) {
    return refuse("grid", "rows and columns of at least 1", grid.join(" × "));
  }
  if (rows * columns <= MOST_TOKENS) return [rows, columns];
  return refuse("grid", `of at most ${MOST_TOKENS} tokens`, grid.join(" × "));
}

function checkTokens(
  what: string,
  tokens: number,
  noiseDims: readonly number[] | undefined,
): void {
  if (noiseDims === undefined || noiseDims.length !== 3 || noiseDims[1] === tokens) return;
  refuse(what, `of ${noiseDims[1]} tokens, as noise has`, `${tokens} tokens`);
}

function checkFinite(what: string, { data }: Tensor): void {
  if (!data.every(Number.isFinite)) refuse(what, "finite numbers", "not finite");
}

function refuse(what: string, wanted: string, value: unknown): never {
  throw new RangeError(`Cannot generate: ${what} must be ${wanted}: current value is ${value}`);
}
