/**
 * ProCache: few steps in full, further apart at the start than at the end; all others reuse every module's feature, but
 * for some tokens of late MLPs at every second of them. Patterns under these constraints are drawn and the best of a
 * few is kept.
 *
 * *Source:* arXiv 2512.17298 and its published code (macovaseas/ProCache), `CASS.py`. There FID on a thousand samples
 * decides; here PSNR to the full run.
 */

import { PlanError } from "../../errors.ts";
import { compilePlan } from "../../plan/compile.ts";
import { philox } from "../../tensor/random.ts";
import { requestOf } from "../task.ts";
import { openTrials, psnrToFull, trial } from "../trials.ts";
import {
  partialPlan,
  type PartialSteps,
  PROCACHE_SCORE,
  type StepSymbol,
} from "./partial_steps.ts";
import { expectModel, type Policy, type PolicyChoice } from "./policy.ts";
import { samplerAtTimes, type Schedule, scheduleOf } from "./schedule.ts";

const SETTINGS = {
  full: { words: "share of the steps that is computed", or: 0.22, least: 0, most: 1 },
  shortest: { words: "least steps that are reused in a row", or: 2, least: 0, whole: true },
  longest: { words: "most steps that are reused in a row", or: 5, least: 0, whole: true },
  candidates: { words: "patterns that are tried", or: 5, least: 1, most: 100, whole: true },
  seed: { words: "what draws them", or: 0, least: 0, most: 2 ** 32 - 1, whole: true },
  fresh: { words: "share of tokens at partial steps, 0 = they reuse all", or: 0.07, least: 0 },
  early: { words: "share of blocks that partial steps reuse", or: 0.75, least: 0, most: 1 },
} as const;

/** The policy. */
export const PROCACHE: Policy<typeof SETTINGS> = {
  words: "few full steps, ever nearer to each other; the best of some patterns",
  settings: SETTINGS,
  record: async (task, settings) => {
    const { pipeline, steps, signal, onProgress } = task;
    const { sampler, transformer } = pipeline.model;
    const modules = transformer.modules.map(({ name }) => name);
    const request = requestOf(task);
    const { tokens } = request.scene;
    const schedule = scheduleOf(sampler, { steps, tokens });
    const patterns = drawPatterns(steps, { ...settings, full: Math.round(settings.full * steps) });
    const trials = await openTrials({ pipeline, request, signal });
    const total = (patterns.length + 1) * steps;
    onProgress?.(steps, total);
    const scored: { readonly choice: PolicyChoice; readonly psnr: number }[] = [];
    for (const pattern of patterns) {
      const choice = choiceOf(symbolsOf(pattern), { ...settings, modules, schedule });
      if (choice.own !== undefined) samplerAtTimes(sampler, { ...choice.own, tokens }); // refuses one that takes none
      const { rows, own = {} } = choice;
      const plan = { ...own, modules, slots: ["joint"], rows: rows.map((row) => [row]) };
      const psnr = await psnrToFull(trials, await trial(trials, compilePlan(plan).steps));
      scored.push({ choice, psnr });
      onProgress?.((scored.length + 1) * steps, total);
    }
    const best = scored.reduce((a, b) => b.psnr > a.psnr ? b : a);
    const { rows, own } = best.choice;
    const reference = { sampler: sampler.name, steps };
    const recorded = { psnrDb: best.psnr, tried: scored.length };
    return { rows, recorded, ...(own !== undefined && { own: { ...own, reference } }) };
  },
  read: async (file, settings, { sampler: { times }, model }) => {
    const { architecture, modules, schedule } = expectModel(model, "procache");
    const symbols = readSymbols(await file.json(), times.length);
    return { architecture, modules, ...choiceOf(symbols, { ...settings, modules, schedule }) };
  },
};

/** Rows of symbols; with times of their own where some steps compute some tokens. */
function choiceOf(
  symbols: readonly StepSymbol[],
  { schedule, ...steps }: PartialSteps & { readonly schedule: Schedule },
): Pick<PolicyChoice, "rows" | "own"> {
  const { rows, columns } = partialPlan(symbols, steps);
  if (columns === undefined) return { rows };
  return { rows, own: { ...schedule, columns, tokenScore: PROCACHE_SCORE } };
}

/** Of the steps between two that are computed, every second is partial. */
function symbolsOf(pattern: readonly boolean[]): readonly StepSymbol[] {
  let since = 0;
  return pattern.map((full) => {
    since = full ? 0 : since + 1;
    if (full) return "full";
    return since % 2 === 0 ? "partial" : "reuse";
  });
}

/** What patterns are allowed. */
export interface PatternOptions {
  /** How many steps are computed. */
  readonly full: number;
  /** Least and most steps between two of them. */
  readonly shortest: number;
  readonly longest: number;
  /** How many are drawn, at most: equal ones count once. */
  readonly candidates: number;
  readonly seed: number;
}

/** How often patterns are drawn: there may be fewer than are wanted. */
const MOST_DRAWS = 1000;

/**
 * Draws patterns, by step whether it is computed: the first is, and gaps between computed ones never grow.
 *
 * @throws {RangeError} When no pattern fulfils the constraints.
 */
export function drawPatterns(
  steps: number,
  { full, shortest, longest, candidates, seed }: PatternOptions,
): readonly (readonly boolean[])[] {
  const free = steps - (shortest + 1) * full;
  if (full < 1 || shortest > longest || free < 0 || free > (longest - shortest) * full) {
    throw new RangeError(
      `Cannot calibrate: ${steps} steps must be within full × (shortest + 1) … full × (longest + 1) of ` +
        `procache: current value is ${full} × ${shortest + 1} … ${full} × ${longest + 1}`,
    );
  }
  const found = new Map<string, readonly number[]>();
  for (let draw = 0; draw < MOST_DRAWS && found.size < candidates; draw++) {
    const parts = drawParts(free, { count: full, draw, seed });
    const segments = within(parts, longest - shortest).map((part) => part + shortest + 1).toSorted((
      a,
      b,
    ) => b - a);
    found.set(`${segments}`, segments);
  }
  return [...found.values()].map((segments) =>
    segments.flatMap((length) => Array.from({ length }, (_, i) => i === 0))
  );
}

/** Cuts a whole number at random into so many parts, which may be nothing. */
function drawParts(
  whole: number,
  { count, draw, seed }: { readonly count: number; readonly draw: number; readonly seed: number },
): readonly number[] {
  const cuts = Array.from({ length: count - 1 }, (_, i) => {
    const random = philox([draw, Math.floor(i / 4), 0, 0], [seed, 0])[i % 4]!; // four at a time
    return Math.floor(random / 2 ** 32 * (whole + 1));
  }).toSorted((a, b) => a - b);
  return [...cuts, whole].map((cut, i) => cut - (cuts[i - 1] ?? 0));
}

/** What a part has too much goes to those that have room; published code draws again instead. */
function within(parts: readonly number[], most: number): readonly number[] {
  let over = parts.reduce((all, part) => all + Math.max(0, part - most), 0);
  return parts.map((part) => {
    const room = Math.max(0, Math.min(over, most - part));
    over -= room;
    return Math.min(part, most) + room;
  });
}

/** A published pattern in inference order: 1 is computed, 0 reused, 2 partial. */
function readSymbols(value: unknown, steps: number): readonly StepSymbol[] {
  if (!Array.isArray(value) || value.length !== steps) {
    const current = Array.isArray(value) ? value.length : JSON.stringify(value)?.slice(0, 60);
    refuse("it", `a list of ${steps} symbols, one for each step`, current);
  }
  const wrong = value.findIndex((symbol) => ![0, 1, 2].includes(symbol));
  if (wrong >= 0) refuse(`symbol ${wrong}`, "0, 1 or 2", JSON.stringify(value[wrong]));
  return value.map((symbol) => symbol === 1 ? "full" : symbol === 2 ? "partial" : "reuse");
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(
    `Cannot import pattern: ${what} must be ${wanted}: current value is ${current}`,
  );
}
