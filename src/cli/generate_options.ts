/**
 * The options of `generate`: from words to values.
 */

import { AssetError } from "../errors.ts";
import { parseRecord, TEXT_KEYWORD } from "../engine/picture_record.ts";
import { readPngText } from "../image/png_text.ts";
import { readWhole } from "./files.ts";
import { CONDITIONS_NOTE, MODEL_OPTIONS } from "./open.ts";
import { decimal, file, list, text, whole } from "./option_readers.ts";
import { type Asked, option, table } from "./options.ts";
import { OUTPUT_OPTIONS } from "./output.ts";

const steps = "T  sampling steps, 1 … 1000 (the plan's that is named, or the model's)";
const plan = "NAME|FILE  cache plan; auto: the bundled one that fits, none: run in full (auto)";

export const GENERATE = table({
  name: "generate",
  summary: "make pictures",
  options: {
    label: option(list(text("a name"), "names"), "NAME|INDEX,…  classes (the first ten)"),
    count: option(whole(1), "N  number of pictures; labels are taken in turn"),
    seed: option(whole(), "S  noise of picture i comes from S + i (0)"),
    steps: option(whole(1, 1000), steps),
    plan: option(text("auto, none, a name or a file"), plan),
    guidance: option(decimal(), "G  guidance scale; 1 is none (the model's)"),
    ...MODEL_OPTIONS,
    out: option(file(".png"), "FILE.png  grid of pictures (out.png; with --latents, none)"),
    latents: option(file(".safetensors"), 'FILE  the final latents, one f32 tensor "latents"'),
    conditions: option(file(), "FILE  noise and labels, instead of seed and label; see below"),
    from: option(file(), "FILE.png  repeat a picture from its own text; other options change it"),
    ...OUTPUT_OPTIONS,
  },
  notes: CONDITIONS_NOTE,
});

/** What the command line of `generate` says. */
export type GenerateWords = Asked<typeof GENERATE>;

/** What `generate` was asked to do, with what a picture to repeat says. */
export interface GenerateCommand extends Omit<GenerateWords, "label" | "from"> {
  /** Class names or indices; absent is the first ten classes. */
  readonly labels?: readonly (string | number)[];
  readonly seed: number;
  /** `auto`, `none`, the name of a bundled plan, or a file. */
  readonly plan: string;
  /** Digest of the plan that made the picture to repeat. */
  readonly planDigest?: string;
  /** Fingerprint of the model that made the picture to repeat. */
  readonly fingerprint?: string;
}

/**
 * Joins what was asked for with what the picture of `--from` says.
 *
 * @throws {AssetError} When the picture does not say how it was made.
 */
export async function withRecord(
  { label, out, from, ...given }: GenerateWords,
): Promise<GenerateCommand> {
  const repeated = from === undefined ? {} : withoutPlan(await readRecord(from), given.plan);
  const picture = out ?? (given.latents === undefined ? "out.png" : undefined);
  return {
    ...{ seed: 0, plan: "auto" },
    ...repeated,
    ...given,
    ...(label !== undefined && { labels: label }),
    ...(picture !== undefined && { out: picture }),
  };
}

async function readRecord(path: string): Promise<Partial<GenerateCommand>> {
  const record = parseRecord(readPngText(await readWhole(path)));
  if (record === undefined) {
    throw new AssetError(
      `Cannot repeat ${path}: it must carry an "${TEXT_KEYWORD}" text as we write it`,
    );
  }
  const { labels, seed, steps, guidance, fingerprint, weights, plan, sampler } = record;
  if (seed === undefined) {
    throw new AssetError(`Cannot repeat ${path}: it must come from a seed, not from given noise`);
  }
  const planned = plan === undefined
    ? { plan: "none" } // what was made in full is repeated in full
    : { plan: plan.name, planDigest: plan.digest };
  const choices = { ...(weights && { weights }), ...(sampler && { sampler }) };
  return { labels, seed, steps, guidance, fingerprint, ...choices, ...planned };
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
