/**
 * The options of `compare`.
 */

import { CONDITIONS_NOTE, MODEL_OPTIONS } from "./open.ts";
import { file, text, whole } from "./option_readers.ts";
import { type Asked, flag, option, table } from "./options.ts";
import { OUTPUT_OPTIONS } from "./output.ts";

const plan = text("auto, or a plan's name or file", (word) => word !== "none");

export const COMPARE = table({
  name: "compare",
  summary: "measure a plan against full computation, in turn",
  options: {
    plan: option(plan, "NAME|FILE  the plan; auto takes the one that fits", { or: "auto" }),
    count: option(whole(1), "N  pictures (16, or all conditions)"),
    seed: option(whole(), "S  picture i is of class i and comes from noise S + i", { or: 0 }),
    conditions: option(file(), "FILE  noise and labels, instead of a seed; see below"),
    rounds: option(whole(1), "R  times are medians over R rounds", { or: 3 }),
    truth: flag("against the converged solution as well, which is computed once and kept"),
    ...MODEL_OPTIONS,
    out: option(file(".png"), "FILE.png  contact sheet: full, plan, difference × 4"),
    record: option(file(), "FILE  the plan with the numbers in it"),
    ...OUTPUT_OPTIONS,
  },
  notes: CONDITIONS_NOTE,
});

export type CompareCommand = Asked<typeof COMPARE>;
