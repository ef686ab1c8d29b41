/**
 * How a picture was drawn, as its PNG says, in the words of the page. The page reads it by hand: a schema of
 * the engine's own would double its script.
 */

import { readPngText } from "../image/png_text.ts";
import type { LinkedEdit } from "./link.ts";

/** Keyword of the text that holds it, as `engine/picture_record.ts` writes it. */
const KEYWORD = "invardiff";

/** What a PNG says of how it was drawn. */
export interface PngRecord {
  readonly model: string;
  readonly fingerprint: string;
  /** Pictures in the file: the command line lays several out in a grid. */
  readonly pictures: number;
  /** Class of the first. */
  readonly label?: number | undefined;
  /** Words of the first. */
  readonly prompt?: string | undefined;
  readonly negativePrompt?: string | undefined;
  readonly trueGuidance?: number | undefined;
  readonly seed?: number | undefined;
  /** The solver, where it is not the model's own. */
  readonly sampler?: string | undefined;
  readonly steps: number;
  readonly guidance: number;
  readonly begins?: LinkedEdit | undefined;
  readonly plan?: { readonly name: string; readonly digest: string } | undefined;
  /** What it was drawn with that the page cannot ask for, in words. */
  readonly beyond: readonly string[];
}

/**
 * The record of a PNG; `undefined` where there is none, or it has another form.
 *
 * @throws {AssetError} When the bytes are not an intact PNG.
 */
export function readPngRecord(bytes: Uint8Array): PngRecord | undefined {
  const text = readPngText(bytes)[KEYWORD];
  return text === undefined ? undefined : recordOf(parsed(text));
}

/** Any JSON value by name; `undefined` where there is none. */
type Fields = (name: string) => unknown;

function fieldsOf(value: unknown): Fields {
  return (name) => Reflect.get(Object(value), name);
}

function recordOf(json: unknown): PngRecord | undefined {
  const field = fieldsOf(json);
  const [labels, prompts] = [field("labels"), field("prompts")];
  const fingerprint = textOf(field("fingerprint"));
  const [steps, guidance] = [wholeOf(field("steps")), numberOf(field("guidance"))];
  if (fingerprint === undefined || steps === undefined || guidance === undefined) return undefined;
  if (!Array.isArray(labels) || labels.some((each) => wholeOf(each) === undefined)) {
    return undefined;
  }
  const promptsOf = labels.map((each) => fieldsOf(Array.isArray(prompts) ? prompts[each] : null));
  const isWhole = promptsOf.every((prompt) => textOf(prompt("prompt")) !== undefined);
  const [label] = labels;
  const [words] = promptsOf;
  if (words === undefined || (prompts !== undefined && !isWhole)) return undefined;
  const prompt = textOf(words("prompt"));
  return {
    model: textOf(field("model")) ?? "",
    ...{ fingerprint, pictures: labels.length, steps, guidance },
    ...(prompt === undefined ? { label } : { prompt }),
    negativePrompt: textOf(words("negativePrompt")),
    trueGuidance: numberOf(field("trueGuidance")),
    seed: wholeOf(field("seed")),
    sampler: textOf(field("solver")) ?? textOf(field("sampler")),
    begins: beginsOf(fieldsOf(field("edit"))),
    plan: planOf(fieldsOf(field("plan"))),
    beyond: [
      ...(words("prompt2") === undefined ? [] : ["a second prompt"]),
      ...(field("grid") === undefined ? [] : ["a size of its own"]),
      ...["policy", "parallel"].flatMap((name) => textOf(field(name)) ?? []),
    ],
  };
}

function beginsOf(field: Fields): LinkedEdit | undefined {
  const [image, mask] = [textOf(field("image")), textOf(field("mask"))];
  const strength = numberOf(field("strength"));
  if (image === undefined || strength === undefined) return undefined;
  return { image, ...(mask !== undefined && { mask }), strength };
}

function planOf(field: Fields): PngRecord["plan"] {
  const [name, digest] = [textOf(field("name")), textOf(field("digest"))];
  return name === undefined || digest === undefined ? undefined : { name, digest };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no JSON
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function wholeOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) ? numberOf(value) : undefined;
}
