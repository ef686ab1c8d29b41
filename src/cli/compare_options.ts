/**
 * The options of `compare`: from words to values.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";
import { MODEL_FIELDS, MODEL_WORDS, type ModelOptions } from "./open.ts";

/** What `compare` was asked to do. */
export interface CompareCommand extends ModelOptions {
  /** `auto`, the name of a bundled plan, or a file. */
  readonly plan: string;
  /** Pictures; absent is 16, or as many as there are conditions. */
  readonly count?: number;
  /** Seed of the first picture. */
  readonly seed: number;
  /** Safetensors with `noise` and `label`, instead of seeds. */
  readonly conditions?: string;
  /** How often every picture is made each way. */
  readonly rounds: number;
  /** PNG of the contact sheet to write. */
  readonly out?: string;
  /** JSON of the numbers to write. */
  readonly json?: string;
  /** Copy of the plan to write, with these measurements in it. */
  readonly record?: string;
}

/** How `compare` is called. */
export const COMPARE_USAGE = `compare options; full computation against a plan, in turn:
  --model DIR|FILE|URL    as for generate
  --plan NAME|FILE        the plan; auto takes the bundled one for the model's steps (auto)
  --count N               pictures (16, or all conditions)
  --seed S                picture i is of class i and comes from noise S + i (0)
  --conditions FILE       safetensors with noise (n,C,H,W) and label (n), instead of a seed
  --rounds R              times are medians over R rounds (3)
  --sampler, --backend, --threads, --weights   as for generate
  --out FILE.png          contact sheet: full, plan, difference × 4, and the next picture beside or below
  --json FILE             the numbers
  --record FILE           the plan with the numbers in it`;

const OPTIONS = {
  ...MODEL_WORDS,
  plan: { type: "string" },
  count: { type: "string" },
  seed: { type: "string" },
  conditions: { type: "string" },
  rounds: { type: "string" },
  out: { type: "string" },
  json: { type: "string" },
  record: { type: "string" },
} as const;

const path = z.string().min(1, "must not be empty");
const whole = z.string().regex(/^\d+$/, "must be a whole number").transform(Number);
const positive = whole.refine((n) => n >= 1, "must be at least 1");

const schema: z.ZodType<CompareCommand> = z.strictObject({
  plan: path.refine((plan) => plan !== "none", "must be a plan").default("auto"),
  count: z.exactOptional(positive),
  seed: whole.default(0),
  conditions: z.exactOptional(path),
  rounds: positive.default(3),
  ...MODEL_FIELDS,
  out: z.exactOptional(path.endsWith(".png", "must end in .png")),
  json: z.exactOptional(path),
  record: z.exactOptional(path),
});

/**
 * Parses the command line of `compare`.
 *
 * @throws {TypeError} When an option is unknown or malformed.
 */
export function parseCompare(args: readonly string[]): CompareCommand {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: false });
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!; // it failed for something
  const option = String(issue.path[0]);
  throw new TypeError(
    `Cannot compare: --${option}: ${issue.message}: current value is ${
      Reflect.get(values, option)
    }`,
  );
}
