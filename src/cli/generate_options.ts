/**
 * The options of `generate`: from words to values.
 */

import type { EditRecord } from "../engine/edit_facts.ts";
import { PARALLEL_METHODS } from "../engine/parallel/choose.ts";
import { RUN_TIME_POLICIES } from "../engine/policies/table.ts";
import { settingLines } from "../engine/policies/settings.ts";
import type { GenerateOptions } from "../engine/request.ts";
import { CONDITIONS_NOTE, MODEL_OPTIONS } from "./open.ts";
import { decimal, file, list, text, whole } from "./option_readers.ts";
import { type Asked, option, several, table } from "./options.ts";
import { OUTPUT_OPTIONS } from "./output.ts";

const steps = "T  sampling steps, 1 … 1000 (the plan's that is named, or the model's)";
const plan = "NAME|FILE  cache plan; auto: the bundled one that fits, none: run in full (auto)";

/** Every text is a prompt, the empty one too. */
const PROMPT = { wanted: "a text", read: (word: string): string => word };

function isPlanned({ plan }: { readonly plan?: string }): boolean {
  return plan !== undefined && plan !== "none" && plan !== "auto";
}

export const GENERATE = table({
  name: "generate",
  summary: "make pictures",
  options: {
    prompt: several(PROMPT, "TEXT  what a picture shows; once for each (the model's examples)"),
    negativePrompt: several(PROMPT, "TEXT  what none shows, or once for each prompt"),
    prompt2: several(
      PROMPT,
      "TEXT  for the second text encoder, or once for each prompt (the prompt)",
    ),
    label: option(
      list(text("a name"), "names"),
      "NAME|INDEX,…  classes, for a model of classes (the first ten)",
    ),
    count: option(whole(1), "N  number of pictures; prompts or labels are taken in turn"),
    seed: option(whole(), "S  noise of picture i comes from S + i (0)"),
    steps: option(whole(1, 1000), steps),
    plan: option(text("auto, none, a name or a file"), plan),
    policy: option(
      text("a policy, with its settings after a colon"),
      "NAME|FILE  decides at each step of each picture, instead of a plan; see below",
    ),
    parallel: option(
      text("srds, with its settings after a colon"),
      "srds  computes steps beside each other, instead of a plan; see below",
    ),
    guidance: option(decimal(), "G  guidance scale; 1 is none (the model's)"),
    trueGuidance: option(
      decimal(),
      "G  leads away from the negative prompt, in twice the time (1: off)",
    ),
    image: option(file(), "FILE  PNG, JPEG or WebP that pictures begin from"),
    mask: option(file(), "FILE  of its size: white is repainted, black stays (all is repainted)"),
    strength: option(decimal(0), "S  share of the steps that run from the image, up to 1 (0.6)"),
    ...MODEL_OPTIONS,
    out: option(file(".png"), "FILE.png  grid of pictures (out.png; with --latents, none)"),
    latents: option(file(".safetensors"), 'FILE  the final latents, one f32 tensor "latents"'),
    conditions: option(
      file(),
      "FILE  noise, or noise and labels, instead of seed and label; see below",
    ),
    from: option(file(), "FILE.png  repeat a picture from its own text; other options change it"),
    ...OUTPUT_OPTIONS,
  },
  forbidden: [
    ["policy", "with --plan", isPlanned],
    ["parallel", "with --plan", isPlanned],
    ["parallel", "with --policy", ({ policy }) => policy !== undefined],
  ],
  notes: [
    ...[
      CONDITIONS_NOTE,
      "",
      "policies, with their published settings; others as in teacache:threshold=.4:",
    ],
    ...settingLines(RUN_TIME_POLICIES).map((line) => `  ${line}`),
    "",
    "a plan of calibrate --policy teacache or sencache brings settings that fit its model.",
    "",
    "steps beside each other, with ddim or flow-euler:",
    ...settingLines(PARALLEL_METHODS).map((line) => `  ${line}`),
  ].join("\n"),
});

/** What the command line of `generate` says. */
export type GenerateWords = Asked<typeof GENERATE>;

type Texts = "prompt" | "prompt2" | "negativePrompt";

/** What `generate` was asked to do, with what a picture to repeat says. */
export interface GenerateCommand extends Omit<GenerateWords, Texts | "label" | "from"> {
  /** What pictures show. */
  readonly prompts?: readonly string[] | undefined;
  /** For the second text encoder: one text, or one for each prompt. */
  readonly prompt2?: GenerateOptions["prompt2"];
  /** What none shows, or one for each prompt. */
  readonly negativePrompt?: GenerateOptions["negativePrompt"];
  /** Class names or indices; absent is the first ten classes. */
  readonly labels?: readonly (string | number)[];
  readonly seed: number;
  /** Size of the pictures to repeat in tokens, where it is not the model's own. */
  readonly grid?: readonly number[] | undefined;
  /** `auto`, `none`, the name of a bundled plan, or a file. */
  readonly plan: string;
  /** Digest of the plan that made the picture to repeat. */
  readonly planDigest?: string;
  /** Fingerprint of the model that made the picture to repeat. */
  readonly fingerprint?: string;
  /** What the picture to repeat began from. */
  readonly edit?: Pick<EditRecord, "image" | "mask"> | undefined;
  /** Solver that was asked for with the picture to repeat. */
  readonly solver?: string;
}
