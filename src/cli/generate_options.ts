/**
 * The options of `generate`: from words to values.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import { PRECISIONS } from "../engine/precision.ts";
import { AssetError } from "../errors.ts";
import { TEXT_KEYWORD } from "../engine/picture_record.ts";
import { readPngText } from "../engine/png.ts";
import { readWhole } from "./files.ts";
import { MODEL_FIELDS, MODEL_WORDS, type ModelOptions } from "./open.ts";

/** What `generate` was asked to do. */
export interface GenerateCommand extends ModelOptions {
  /** Class names or indices; absent is the first ten classes. */
  readonly labels?: readonly (string | number)[];
  /** Number of pictures; labels are taken in turn. */
  readonly count?: number;
  /** Seed of the first picture. */
  readonly seed: number;
  /** Sampling steps; absent is the model's default. */
  readonly steps?: number;
  /** Guidance scale; absent is the model's default. */
  readonly guidance?: number;
  /** PNG to write; absent when only latents are wanted. */
  readonly out?: string;
  /** Safetensors with `noise` and `label`. */
  readonly conditions?: string;
  /** Safetensors to write the final latents to. */
  readonly latents?: string;
  /** Whether the report on stdout is JSON. */
  readonly json: boolean;
  /** `auto`, `none`, the name of a bundled plan, or a file. */
  readonly plan: string;
  /** Digest of the plan that made the picture to repeat. */
  readonly planDigest?: string;
  /** Fingerprint of the model that made the picture to repeat. */
  readonly fingerprint?: string;
}

/** How `generate` is called. */
export const GENERATE_USAGE = `generate options:
  --model DIR|FILE|URL    model or diffusers directory, .safetensors or .pt of a DiT or FLUX,
                          hf://OWNER/NAME, or cached+URL (the embedded fashion-dit)
  --label NAME|INDEX,…    classes (the first ten)
  --count N               number of pictures; labels are taken in turn
  --seed S                noise of picture i comes from S + i (0)
  --steps T               sampling steps, 1 … 1000 (the plan's that is named, or the model's)
  --plan NAME|FILE        cache plan; auto takes the bundled one that fits, none runs in full (auto)
  --guidance G            guidance scale, classifier-free or embedded; 1 is none (the model's)
  --sampler original      sampled as by the model's authors, whatever its scheduler_config.json says
  --backend NAME          auto, webgpu, native or wasm (auto)
  --threads N             threads of wasm and native (all cores)
  --weights P             precision of weights: f32, int8 or int4 (f32, or as the model was packed)
  --out FILE.png          grid of pictures (out.png; with --latents, none unless asked for)
  --conditions FILE       safetensors with noise (n,C,H,W) and label (n); for a model of text with
                          noise (n,T,C) packed, text (n,M,W), pooled (n,P), image_ids (T,axes)
  --latents FILE          write the final latents, one f32 tensor "latents"
  --from FILE.png         repeat a picture from its own text; other options change it
  --json                  report as JSON on stdout`;

const OPTIONS = {
  ...MODEL_WORDS,
  label: { type: "string" },
  count: { type: "string" },
  seed: { type: "string" },
  steps: { type: "string" },
  plan: { type: "string" },
  guidance: { type: "string" },
  out: { type: "string" },
  conditions: { type: "string" },
  latents: { type: "string" },
  from: { type: "string" },
  json: { type: "boolean" },
} as const;

const whole = z.string().regex(/^\d+$/, "must be a whole number").transform(Number);
const own = z.object({
  label: z.string().min(1).transform((text) => text.split(",").map((name) => name.trim())),
  count: whole.refine((n) => n >= 1, "must be at least 1"),
  seed: whole,
  steps: whole,
  plan: z.string().min(1),
  guidance: z.string().regex(/^\d+(\.\d+)?$/, "must be a number of at least 0").transform(Number),
  out: z.string().endsWith(".png", "must end in .png"),
  conditions: z.string().min(1),
  latents: z.string().endsWith(".safetensors", "must end in .safetensors"),
  from: z.string().min(1),
  json: z.boolean(),
}).partial();
const schema = own.extend(MODEL_FIELDS);

/** The parameters that a picture carries; enough to make it again. */
const recordSchema = z.object({
  fingerprint: z.string(),
  labels: z.array(z.number().int()),
  sampler: z.literal("original").optional(),
  seed: z.number().int().optional(),
  steps: z.number().int(),
  guidance: z.number(),
  weights: z.enum(PRECISIONS).default("f32"),
  plan: z.object({ name: z.string(), digest: z.string() }).optional(),
});

/**
 * Parses the command line of `generate`, and the picture that `--from` names.
 *
 * @throws {TypeError} When an option is unknown or malformed.
 * @throws {AssetError} When the picture of `--from` does not say how it was made.
 */
export async function parseGenerate(args: readonly string[]): Promise<GenerateCommand> {
  const { label, out, from, ...given } = defined(parseWords(args));
  const repeated = from === undefined ? {} : withoutPlan(await readRecord(from), given.plan);
  const picture = out ?? (given.latents === undefined ? "out.png" : undefined);
  return {
    seed: 0,
    plan: "auto",
    json: false,
    ...repeated,
    ...given,
    ...(label !== undefined && { labels: label }),
    ...(picture !== undefined && { out: picture }),
  };
}

function parseWords(args: readonly string[]): z.infer<typeof schema> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false });
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const option = String(issue?.path[0]);
  throw new TypeError(
    `Cannot generate: --${option}: ${issue?.message}: current value is ${
      Reflect.get(values, option)
    }`,
  );
}

async function readRecord(path: string): Promise<Partial<GenerateCommand>> {
  const text = readPngText(await readWhole(path))[TEXT_KEYWORD];
  const parsed = recordSchema.safeParse(text === undefined ? undefined : parseJson(text));
  if (!parsed.success) {
    throw new AssetError(
      `Cannot repeat ${path}: it must carry an "${TEXT_KEYWORD}" text as we write it`,
    );
  }
  const { labels, seed, steps, guidance, fingerprint, weights, plan, sampler } = parsed.data;
  if (seed === undefined) {
    throw new AssetError(`Cannot repeat ${path}: it must come from a seed, not from given noise`);
  }
  const planned = plan === undefined
    ? { plan: "none" } // what was made in full is repeated in full
    : { plan: plan.name, planDigest: plan.digest };
  const recorded = { labels, seed, steps, guidance, fingerprint, weights, ...planned };
  return sampler === undefined ? recorded : { ...recorded, sampler };
}

/** Another plan than the recorded one need not be the same, and brings its own steps. */
function withoutPlan(
  record: Partial<GenerateCommand>,
  plan: string | undefined,
): Partial<GenerateCommand> {
  if (plan === undefined) return record;
  const { planDigest: _, steps, ...rest } = record;
  const keepsSteps = plan === "auto" || plan === "none";
  return { ...rest, ...(keepsSteps && steps !== undefined && { steps }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not ours
  }
}

/** Without the keys whose value is absent. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, v]) => v !== undefined),
  ) as { [K in keyof T]: Exclude<T[K], undefined> }; // exactly what the filter left
}
