/**
 * The configuration of a DiT: read from JSON, or inferred from the shapes of a published size, and in
 * both cases checked against every tensor.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../../assets/json.ts";
import { AssetError } from "../../errors.ts";
import type { TensorShapes } from "../../assets/tensor_shapes.ts";

/** The original constructor's arguments. */
export interface DitConfig {
  /** Latent height and width. */
  readonly inputSize: number;
  /** Patch height and width, in latent pixels. */
  readonly patchSize: number;
  readonly inChannels: number;
  /** Width D of the residual stream. */
  readonly hiddenSize: number;
  readonly depth: number;
  readonly numHeads: number;
  /** MLP width as a multiple of D. */
  readonly mlpRatio: number;
  /** Label dropout of training; above 0 the label table has a null row for guidance. */
  readonly classDropoutProb: number;
  readonly numClasses: number;
  /** Whether the model predicts variance channels beside the noise. */
  readonly learnSigma: boolean;
  /**
   * What the exponents of the timestep frequencies are divided by: absent is the original's, half of
   * their number; `half_minus_one` is diffusers', with which no published DiT was trained.
   */
  readonly timestepFrequencyDivisor?: "half_minus_one";
  /** Blocks of a group, of a model of ODE_t(ODE_l), which was trained to do without its last groups; absent = it is none. */
  readonly depthGroup?: number;
}

/** Far above any DiT; bounds what a strange config can make us build. */
const positive = z.int().min(1).max(1 << 20);
const configSchema = z.strictObject({
  input_size: positive.default(32),
  patch_size: positive.default(2),
  in_channels: positive.default(4),
  hidden_size: positive.default(1152),
  depth: z.int().min(1).max(1000).default(28),
  num_heads: positive.default(16),
  mlp_ratio: z.number().positive().max(100).default(4),
  class_dropout_prob: z.number().min(0).max(1).default(0.1),
  num_classes: positive.default(1000),
  learn_sigma: z.boolean().default(true),
  timestep_frequency_divisor: z.enum(["half", "half_minus_one"]).default("half"),
  depth_group: z.exactOptional(positive),
});

/** Depth and heads of the published widths. *Source:* DiT `models.py`, DiT_S … DiT_XL. */
const PUBLISHED: ReadonlyMap<number, { readonly depth: number; readonly numHeads: number }> =
  new Map([
    [384, { depth: 12, numHeads: 6 }],
    [768, { depth: 12, numHeads: 12 }],
    [1024, { depth: 24, numHeads: 16 }],
    [1152, { depth: 28, numHeads: 16 }],
  ]);
const PUBLISHED_PATCHES: readonly number[] = [2, 4, 8];
const DEFAULT_INPUT_SIZE = 32;

/**
 * Reads a `config.json` in the original constructor's keys; absent keys have its defaults.
 *
 * @throws {AssetError} Naming the first key that is unknown or out of range.
 */
export function parseDitConfig(json: unknown): DitConfig {
  const c = checkJson(json, configSchema, "DiT config");
  return consistent({
    inputSize: c.input_size,
    patchSize: c.patch_size,
    inChannels: c.in_channels,
    hiddenSize: c.hidden_size,
    depth: c.depth,
    numHeads: c.num_heads,
    mlpRatio: c.mlp_ratio,
    classDropoutProb: c.class_dropout_prob,
    numClasses: c.num_classes,
    learnSigma: c.learn_sigma,
    ...(c.timestep_frequency_divisor === "half_minus_one" && {
      timestepFrequencyDivisor: c.timestep_frequency_divisor,
    }),
    ...(c.depth_group !== undefined && { depthGroup: c.depth_group }),
  });
}

/**
 * Infers the `config.json` of a published size (S, B, L, XL; patch 2, 4, 8) from its tensors.
 *
 * @throws {AssetError} When the tensors are not a DiT's, or the size was not published.
 */
export function inferDitConfig(shapes: TensorShapes): Readonly<Record<string, unknown>> {
  const [hiddenSize, inChannels, patchSize] = dimsOf(shapes, "x_embedder.proj.weight", 4);
  const [rows] = dimsOf(shapes, "y_embedder.embedding_table.weight", 2);
  const [out] = dimsOf(shapes, "final_layer.linear.weight", 2);
  const depth = blockCount(shapes);
  const published = PUBLISHED.get(hiddenSize!);
  if (published?.depth !== depth || !PUBLISHED_PATCHES.includes(patchSize!)) {
    throw new AssetError(
      `Cannot infer DiT config: width, depth and patch must be of a published size, or a config.json ` +
        `must lie beside the weights: current value is ${hiddenSize}, ${depth}, ${patchSize}`,
    );
  }
  const tokens = shapes.dims("pos_embed")?.[1];
  return {
    input_size: tokens === undefined ? DEFAULT_INPUT_SIZE : Math.sqrt(tokens) * patchSize!,
    patch_size: patchSize,
    in_channels: inChannels,
    hidden_size: hiddenSize,
    depth,
    num_heads: published.numHeads,
    num_classes: rows! - 1, // rank 2 was checked; the last row is the null class
    learn_sigma: out === 2 * inChannels! * patchSize! ** 2, // rank 4 was checked
  };
}

/** Blocks that the model has: what comes after the last whole group counts for nothing, so files do without. */
export function blocksOf({ depth, depthGroup = 1 }: DitConfig): number {
  return depth - depth % depthGroup;
}

/** Rows of the label table: the classes, and one null row when labels were dropped in training. */
export function labelRows(config: DitConfig): number {
  return config.numClasses + (config.classDropoutProb > 0 ? 1 : 0);
}

function consistent(config: DitConfig): DitConfig {
  const rules: readonly (readonly [string, boolean])[] = [
    ["input_size must be a multiple of patch_size", config.inputSize % config.patchSize === 0],
    ["hidden_size must be a multiple of num_heads", config.hiddenSize % config.numHeads === 0],
    ["hidden_size must be a multiple of 4", config.hiddenSize % 4 === 0],
    ["depth must be at least depth_group", config.depth >= (config.depthGroup ?? 1)],
    [
      "learn_sigma must be false beside depth_group",
      config.depthGroup === undefined || !config.learnSigma,
    ],
  ];
  const broken = rules.find(([, holds]) => !holds);
  if (broken === undefined) return config;
  throw new AssetError(
    `Cannot read DiT config: ${broken[0]}: current value is ${JSON.stringify(config)}`,
  );
}

function dimsOf(shapes: TensorShapes, name: string, rank: number): readonly number[] {
  const dims = shapes.dims(name);
  if (dims?.length === rank) return dims;
  throw new AssetError(
    `Cannot infer DiT config: ${name} must have rank ${rank}: current value is ${
      dims === undefined ? "missing" : `[${dims}]`
    }`,
  );
}

function blockCount({ names }: TensorShapes): number {
  let count = 0;
  for (const name of names) {
    const block = /^blocks\.(\d+)\./.exec(name)?.[1];
    if (block !== undefined) count = Math.max(count, Number(block) + 1);
  }
  return count;
}
