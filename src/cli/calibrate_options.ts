/**
 * The options of `calibrate`: from words to values.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import { MODEL_FIELDS, MODEL_WORDS, type ModelOptions } from "./open.ts";

/** What `calibrate` was asked to do. */
export interface CalibrateCommand extends ModelOptions {
  /** How the plan is chosen. */
  readonly mode: "reference" | "guided" | "search";
  /** Sampling steps; absent is the model's default. */
  readonly steps?: number;
  /** Guidance scale; absent is the model's default. */
  readonly guidance?: number;
  /** Level of each kind; absent where a target speed-up decides. */
  readonly levels?: Readonly<Record<string, number>>;
  /** Whether levels were asked for; others are a DiT's. */
  readonly levelsGiven: boolean;
  /** Share of the steps that is never reused at the start. */
  readonly warmup: number;
  /** Oldest feature that may be loaded, in steps. */
  readonly longest?: number;
  /** Runs that are recorded, unless conditions are given. */
  readonly runs: number;
  /** Seed of the first run. */
  readonly seed: number;
  /** Safetensors with `noise` and `label`, instead of seeds. */
  readonly conditions?: string;
  /** Least predicted speed-up. */
  readonly speedup?: number;
  /** Seconds after which no further plan is measured. */
  readonly seconds: number;
  /** Most trial runs of a search. */
  readonly trials: number;
  /** Plan to write. */
  readonly out: string;
}

/** How `calibrate` is called. */
export const CALIBRATE_USAGE = `calibrate options:
  --out FILE              plan to write
  --mode NAME             guided, search, or reference: as published (guided)
  --model DIR|FILE|URL    as for generate (the embedded fashion-dit)
  --steps T               sampling steps, 1 … 1000 (the model's)
  --guidance G            guidance scale that pictures will have (the model's); reference records without
  --quantile KIND=Q,…     share to reuse of each kind, 0 … 1 (step=.61 and of every kind of module
                          0 in mode guided, .2 in mode reference: step=.61,attn=.2,mlp=.2 for DiT)
  --target-speedup X      guided, search: the best plan of at least this predicted speed-up
  --time-budget SECONDS   guided with a target: measure no further plan after it (300)
  --trials N              search: most plans to measure (200)
  --warmup R              share of the steps that is never reused at the start (0)
  --longest N             guided: oldest feature that may be loaded, in steps (any)
  --runs N, --seed S      run i has class i and noise of S + i (16, 42)
  --conditions FILE       safetensors with noise (n,C,H,W) and label (n), instead of runs and seed; for a
                          model of text with noise (n,T,C) packed, text, pooled, image_ids
  --sampler, --backend, --threads, --weights   as for generate`;

const OPTIONS = {
  ...MODEL_WORDS,
  mode: { type: "string" },
  out: { type: "string" },
  steps: { type: "string" },
  guidance: { type: "string" },
  quantile: { type: "string" },
  "target-speedup": { type: "string" },
  "time-budget": { type: "string" },
  trials: { type: "string" },
  warmup: { type: "string" },
  longest: { type: "string" },
  runs: { type: "string" },
  seed: { type: "string" },
  conditions: { type: "string" },
} as const;

const whole = z.string().regex(/^\d+$/, "must be a whole number").transform(Number);
const positive = whole.refine((n) => n >= 1, "must be at least 1");
const number = z.string().regex(/^(\d+\.?\d*|\.\d+)$/, "must be a number of at least 0")
  .transform(Number);
const path = z.string("must be given").min(1, "must not be empty");
const LEVEL = /^[a-z_]+=(0?\.\d+|[01](\.0*)?)$/;

const schema = z.object({
  ...MODEL_FIELDS,
  mode: z.enum(["guided", "search", "reference"], "must be guided, search or reference").default(
    "guided",
  ),
  steps: z.exactOptional(positive),
  guidance: z.exactOptional(number),
  quantile: z.exactOptional(
    z.string().refine(
      (text) => text.split(",").every((pair) => LEVEL.test(pair)),
      "must be KIND=LEVEL with levels in 0 … 1 and commas between",
    ).transform(readLevels),
  ),
  warmup: z.exactOptional(number),
  longest: z.exactOptional(positive),
  runs: z.exactOptional(positive),
  seed: z.exactOptional(whole),
  conditions: z.exactOptional(path),
  "target-speedup": z.exactOptional(number.refine((x) => x > 1, "must be above 1")),
  "time-budget": z.exactOptional(number),
  trials: z.exactOptional(positive),
  out: path,
});

type Words = z.infer<typeof schema>;

/** Which options go with another only: what must be absent, when, and why. */
const CLASHES: readonly {
  readonly option: keyof Words;
  readonly wanted: string;
  readonly when: (words: Words) => boolean;
}[] = [
  {
    option: "quantile",
    wanted: "must not be given with --target-speedup or in mode search, which choose levels",
    when: (words) => words["target-speedup"] !== undefined || words.mode === "search",
  },
  {
    option: "target-speedup",
    wanted: "must not be given in mode reference",
    when: ({ mode }) => mode === "reference",
  },
  {
    option: "longest",
    wanted: "must not be given but in mode guided",
    when: ({ mode }) => mode !== "guided",
  },
  {
    option: "time-budget",
    wanted: "must not be given but in mode guided with --target-speedup",
    when: (words) => words.mode !== "guided" || words["target-speedup"] === undefined,
  },
  {
    option: "trials",
    wanted: "must not be given but in mode search",
    when: ({ mode }) => mode !== "search",
  },
  {
    option: "warmup",
    wanted: "must not be given in mode search",
    when: ({ mode }) => mode === "search",
  },
  {
    option: "runs",
    wanted: "must not be given with --conditions",
    when: ({ conditions }) => conditions !== undefined,
  },
  {
    option: "seed",
    wanted: "must not be given with --conditions",
    when: ({ conditions }) => conditions !== undefined,
  },
];

/**
 * Parses the command line of `calibrate`.
 *
 * @throws {TypeError} When an option is unknown, absent, malformed, or does not go with another.
 */
export function parseCalibrate(args: readonly string[]): CalibrateCommand {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false });
  const parsed = schema.safeParse(values);
  if (!parsed.success) {
    const { path: [option], message } = parsed.error.issues[0]!; // it failed for something
    refuse(String(option), message, Reflect.get(values, String(option)));
  }
  const words = parsed.data;
  const clash = CLASHES.find(({ option, when }) => words[option] !== undefined && when(words));
  if (clash !== undefined) refuse(clash.option, clash.wanted, Reflect.get(values, clash.option));
  const { quantile, "target-speedup": speedup, "time-budget": seconds = 300, ...others } = words;
  if (words.mode === "search" && speedup === undefined) {
    refuse("target-speedup", "must be given in mode search", undefined);
  }
  const levels = quantile ?? DEFAULT_LEVELS[words.mode];
  return {
    ...{ warmup: 0, runs: 16, seed: 42, trials: 200 },
    ...others,
    seconds,
    levelsGiven: quantile !== undefined,
    ...(speedup === undefined ? { levels } : { speedup }),
  };
}

/** `reference`: the published slow mode of DiT. Other models have its levels on kinds of their own. */
const DEFAULT_LEVELS: Readonly<Record<Words["mode"], Readonly<Record<string, number>>>> = {
  reference: { step: 0.61, attn: 0.2, mlp: 0.2 },
  guided: { step: 0.61, attn: 0, mlp: 0 },
  search: {},
};

/** `step=.61,attn=.2`: matched before. */
function readLevels(text: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    text.split(",").map((pair) => pair.split("=")).map(([kind, level]) => [kind, Number(level)]),
  );
}

function refuse(option: string, wanted: string, current: unknown): never {
  throw new TypeError(
    `Cannot calibrate: --${option} ${wanted}: current value is ${current ?? "absent"}`,
  );
}
