/**
 * The options of `calibrate`.
 */

import { CALIBRATION_MODES, type ModeName, type ModeOption, TAKEN_BY } from "../calibrate/mod.ts";
import { policyLines } from "../calibrate/policies/table.ts";
import { CONDITIONS_NOTE, MODEL_OPTIONS } from "./open.ts";
import { choice, decimal, file, list, text, whole } from "./option_readers.ts";
import { type Asked, flag, option, table } from "./options.ts";
import { OUTPUT_OPTIONS } from "./output.ts";

const levels = list(
  text("KIND=LEVEL", (word) => /^[a-z_]+=(0?\.\d+|[01](\.0*)?)$/.test(word)),
  "KIND=LEVEL with levels in 0 … 1",
);
/** Either of the two. */
interface Way {
  readonly mode?: ModeName;
  readonly policy?: string;
}
const hasTarget = (asked: { readonly targetSpeedup?: number }): boolean =>
  asked.targetSpeedup !== undefined;

const { levels: quantile, ...sameName } = TAKEN_BY;
const OF_MODES = Object.entries({ quantile, ...sameName }) as [
  Exclude<ModeOption, "levels"> | "quantile",
  readonly ModeName[],
][]; // its own keys

export const CALIBRATE = table({
  name: "calibrate",
  summary: "record a model and write a plan of what to reuse",
  options: {
    out: option(file(), "FILE  plan to write", { required: true }),
    mode: option(
      choice(CALIBRATION_MODES),
      "NAME  guided, search, fit, or reference: as published (guided)",
    ),
    policy: option(
      text("a policy, with its settings after a colon"),
      "NAME[:SETTINGS]  a method of the field instead of a mode; see below",
    ),
    ...MODEL_OPTIONS,
    steps: option(whole(1, 1000), "T  sampling steps; fit: of the full run (the model's)"),
    guidance: option(decimal(), "G  guidance scale; mode reference records without (the model's)"),
    quantile: option(
      levels,
      "KIND=Q,…  share to reuse of each kind, 0 … 1 (step=.61 and of every kind of module 0 in mode " +
        "guided, .2 in mode reference: step=.61,attn=.2,mlp=.2 for DiT)",
    ),
    targetSpeedup: option(decimal(1), "X  guided, search, fit: the least predicted speed-up"),
    targetPsnr: option(decimal(), "DB  fit: the least PSNR to the converged solution, instead"),
    timeBudget: option(
      decimal(),
      "SECONDS  to measure plans, guided with a target (300) or fit (as its trials take)",
    ),
    trials: option(whole(1), "N  search, fit: most plans to measure (200; fit: 60)"),
    warmup: option(decimal(), "R  share of steps that is never reused at the start (0)"),
    longest: option(whole(1), "N  guided: oldest feature that may be loaded, in steps (any)"),
    runs: option(whole(1), "N  runs to record; run i has class i", { or: 16 }),
    seed: option(whole(), "S  run i has noise of S + i", { or: 42 }),
    conditions: option(file(), "FILE  noise and labels, instead of runs and seed; see below"),
    truth: flag("how near the plan comes to the converged solution of its runs, which is kept"),
    ...OUTPUT_OPTIONS,
  },
  forbidden: [
    ...OF_MODES.map(([name, modes]) =>
      [
        name,
        `except in mode ${modes.join(" or ")}`,
        ({ mode = "guided", policy }: Way) => policy !== undefined || !modes.includes(mode),
      ] as const
    ),
    ["mode", "with --policy", ({ policy }) => policy !== undefined],
    ["quantile", "with --target-speedup, which chooses levels", hasTarget],
    [
      "timeBudget",
      "without --target-speedup",
      ({ mode = "guided", ...values }) => mode === "guided" && !hasTarget(values),
    ],
    ["targetPsnr", "with --target-speedup", hasTarget],
    ["runs", "with --conditions", ({ conditions }) => conditions !== undefined],
    ["seed", "with --conditions", ({ conditions }) => conditions !== undefined],
  ],
  needed: [
    ["targetSpeedup", "in mode search", ({ mode }) => mode === "search"],
    [
      "targetSpeedup",
      "in mode fit without --target-psnr",
      ({ mode, targetPsnr }) => mode === "fit" && targetPsnr === undefined,
    ],
  ],
  notes: [
    CONDITIONS_NOTE,
    "",
    "policies, with their published settings; others as in magcache:threshold=0.1,longest=3:",
  ]
    .concat(policyLines("record").map((line) => `  ${line}`)).join("\n"),
});

export type CalibrateCommand = Asked<typeof CALIBRATE>;
