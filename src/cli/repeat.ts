/**
 * What a picture says of how it was made, as words of the command line that would make it again.
 */

import { parseRecord, type PictureRecord, TEXT_KEYWORD } from "../engine/picture_record.ts";
import { AssetError } from "../errors.ts";
import { readPngText } from "../image/png_text.ts";
import { readWhole } from "./files.ts";
import type { GenerateCommand, GenerateWords } from "./generate_options.ts";

/**
 * Joins what was asked for with what the picture of `--from` says.
 *
 * @throws {AssetError} When the picture does not say how it was made.
 */
export async function withRecord(
  { label, prompt, prompt2, negativePrompt, out, from, ...given }: GenerateWords,
): Promise<GenerateCommand> {
  const recorded = from === undefined ? {} : withoutPlan(await readRecord(from), given);
  const { solver, ...repeated } = prompt ?? label
    ? withoutSubject(recorded, { isPrompted: label === undefined })
    : recorded;
  const picture = out ?? (given.latents === undefined ? "out.png" : undefined);
  return {
    ...{ seed: 0, plan: "auto" },
    ...repeated,
    ...(given.sampler === undefined && solver !== undefined && { solver }), // another takes its place
    ...given,
    ...(label !== undefined && { labels: label }),
    ...(prompt !== undefined && { prompts: prompt }),
    ...(prompt2 !== undefined && { prompt2: oneOrEach(prompt2) }),
    ...(negativePrompt !== undefined && { negativePrompt: oneOrEach(negativePrompt) }),
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
  const { seed, steps, guidance, trueGuidance, grid, fingerprint, plan } = record;
  const { weights, precision, sampler, solver, edit, policy, parallel } = record;
  if (seed === undefined) {
    throw new AssetError(`Cannot repeat ${path}: it must come from a seed, not from given noise`);
  }
  const planned = plan === undefined
    ? { plan: "none" } // what was made in full is repeated in full
    : { plan: plan.name, planDigest: plan.digest };
  const choices = {
    ...(grid && { grid }),
    ...(weights && { weights }),
    ...(precision && { precision }),
    ...(sampler && { sampler }),
    ...(solver && { solver }),
    ...(policy && { policy }),
    ...(parallel && { parallel }),
    ...(edit && { edit, strength: edit.strength }),
  };
  const guided = { guidance, ...(trueGuidance !== undefined && { trueGuidance }) };
  return { ...subjectOf(record), seed, steps, ...guided, fingerprint, ...choices, ...planned };
}

/** What the pictures of a record show: classes, or prompts in the order of the pictures. */
function subjectOf({ labels, prompts }: PictureRecord): Partial<GenerateCommand> {
  if (prompts === undefined) return { labels };
  const each = labels.map((label) => prompts[label]!); // as parsed
  const textsOf = (name: "prompt2" | "negativePrompt"): Partial<GenerateCommand> => {
    const texts = each.map((prompt) => prompt[name]).filter((text) => text !== undefined);
    return texts.length === 0
      ? {}
      : { [name]: oneOrEach([...new Set(texts)].length > 1 ? texts : texts.slice(0, 1)) };
  };
  return {
    prompts: each.map(({ prompt }) => prompt),
    ...textsOf("prompt2"),
    ...textsOf("negativePrompt"),
  };
}

/** Of a record whose pictures shall show something else; a negative prompt goes on with other prompts. */
function withoutSubject(
  record: Partial<GenerateCommand>,
  { isPrompted }: { readonly isPrompted: boolean },
): Partial<GenerateCommand> {
  const { labels: _, prompts: _2, prompt2: _3, negativePrompt, ...rest } = record;
  return { ...rest, ...(isPrompted && negativePrompt !== undefined && { negativePrompt }) };
}

/** One text counts for all prompts. */
function oneOrEach(texts: readonly string[]): string | readonly string[] {
  return texts.length === 1 ? texts[0]! : texts;
}

/** Another plan than the recorded one, or what stands in its place, need not be the same, and brings its own steps. */
function withoutPlan(
  record: Partial<GenerateCommand>,
  { policy, parallel, plan = (policy ?? parallel) && "none" }: Pick<
    GenerateWords,
    "plan" | "policy" | "parallel"
  >,
): Partial<GenerateCommand> {
  if (plan === undefined) return record;
  const { plan: _, planDigest: _2, policy: _3, parallel: _4, steps, ...rest } = record;
  const keepsSteps = plan === "auto" || plan === "none";
  return { ...rest, ...(keepsSteps && steps !== undefined && { steps }) };
}
