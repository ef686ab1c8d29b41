/**
 * The record of how a picture was made that its PNG holds: enough to make it again.
 */

import { z } from "npm:zod@4.6.7";
import { planDigest } from "../plan/digest.ts";
import type { NamedPlan } from "./bundled_plans.ts";
import type { PicturePrompt } from "./prompt_texts.ts";
import type { EditRecord } from "./edit_facts.ts";
import {
  PRECISIONS,
  PRODUCT_PRECISIONS,
  type ProductPrecision,
  type WeightPrecision,
} from "./precision/rounded_layers.ts";

/** Keyword of the PNG text chunk that holds the record. */
export const TEXT_KEYWORD = "invardiff";

/** What the records of all pictures of an opened model have in common. */
export interface RecordFacts {
  /** Name of the model. */
  readonly model: string;
  /** Identity of the model. */
  readonly fingerprint: string;
  /** What the model was opened with instead of the directory's own sampler: `original`, or another solver. */
  readonly sampler?: string | undefined;
  /** Precision of the weights; absent is `f32`. */
  readonly weights?: WeightPrecision | undefined;
  /** Precision of products; absent is `f32`. */
  readonly precision?: ProductPrecision | undefined;
}

/** Parameters of a picture, or of a grid of pictures with seeds one after another. */
export interface PictureRecord extends RecordFacts {
  /** Class of each; where there are prompts, which of them. */
  readonly labels: readonly number[];
  /** What pictures show, in words; absent where no prompt was given. */
  readonly prompts?: readonly PicturePrompt[] | undefined;
  /** Seed of the first picture; absent when noise was given. */
  readonly seed?: number | undefined;
  /** The solver that was asked for with the picture, instead of the opened model's. */
  readonly solver?: string | undefined;
  readonly steps: number;
  readonly guidance: number;
  /** Size of a picture in tokens, where it is not the model's own. */
  readonly grid?: readonly number[] | undefined;
  /** Scale of true guidance; absent without it. */
  readonly trueGuidance?: number | undefined;
  /** The picture that it began from, by digest; absent where that was noise alone. */
  readonly edit?: EditRecord | undefined;
  readonly plan?: { readonly name: string; readonly digest: string } | undefined;
  /** The policy that decided at run time, as it was asked for; absent without one. */
  readonly policy?: string | undefined;
  /** How steps were computed beside each other, as it was asked for; absent where they were not. */
  readonly parallel?: string | undefined;
}

/** The record of some pictures of a run; of a grid, all of them. */
export function recordOf(
  {
    prompts = [],
    grid,
    sampler: solver,
    steps,
    guidance,
    trueGuidance,
    edit,
    plan,
    policy,
    parallel,
  }:
    & Pick<PictureRecord, "prompts" | "grid" | "steps" | "guidance" | "trueGuidance" | "edit">
    & {
      readonly sampler?: string | undefined;
      readonly plan?: NamedPlan | undefined;
      readonly policy?: { readonly word: string };
      readonly parallel?: { readonly word: string };
    },
  { labels, seed }: Pick<PictureRecord, "labels" | "seed">,
  facts: RecordFacts,
): PictureRecord {
  const named = plan && { name: plan.name, digest: planDigest(plan.plan) };
  const run = {
    seed,
    grid,
    solver,
    steps,
    guidance,
    trueGuidance,
    edit,
    plan: named,
    policy: policy?.word,
    parallel: parallel?.word,
  };
  if (prompts.length === 0) return { ...facts, labels, ...run };
  const used = [...new Set(labels)]; // of a picture its own only
  return {
    ...facts,
    labels: labels.map((label) => used.indexOf(label)),
    prompts: used.map((label) => prompts[label]!), // labels choose from them
    ...run,
  };
}

const schema = z.object({
  model: z.string().default(""),
  fingerprint: z.string(),
  labels: z.array(z.number().int()),
  prompts: z.array(z.object({
    prompt: z.string(),
    prompt2: z.string().optional(),
    negativePrompt: z.string().optional(),
  })).optional(),
  sampler: z.string().optional(),
  solver: z.string().optional(),
  seed: z.number().int().optional(),
  grid: z.array(z.number().int()).optional(),
  steps: z.number().int(),
  guidance: z.number(),
  trueGuidance: z.number().optional(),
  edit: z.object({ image: z.string(), mask: z.string().optional(), strength: z.number() })
    .optional(),
  weights: z.enum(PRECISIONS).default("f32"), // explicit, whatever the model was packed as
  precision: z.enum(PRODUCT_PRECISIONS).default("f32"), // explicit too
  plan: z.object({ name: z.string(), digest: z.string() }).optional(),
  policy: z.string().optional(),
  parallel: z.string().optional(),
}).refine(({ labels, prompts }) =>
  labels.every((label) => prompts?.[label] !== undefined || !prompts)
);

/** The text chunk of a PNG that says how it was made. */
export function recordText(record: PictureRecord): Readonly<Record<string, string>> {
  return { [TEXT_KEYWORD]: JSON.stringify(record) };
}

/** The record in the text chunks of a PNG; `undefined` when there is none, or it has another form. */
export function parseRecord(text: Readonly<Record<string, string>>): PictureRecord | undefined {
  try {
    return schema.safeParse(JSON.parse(text[TEXT_KEYWORD] ?? "null")).data;
  } catch {
    return undefined; // no JSON
  }
}
