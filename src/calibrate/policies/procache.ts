/**
 * ProCache: few steps in full, further apart at the start than at the end, all others reuse every module's feature.
 * Patterns under these constraints are drawn and the best of a few is kept.
 *
 * *Source:* arXiv 2512.17298 and its published code (macovaseas/ProCache), `CASS.py`. There FID on a thousand samples
 * decides; here PSNR to the full run. Its partial steps, where some tokens of deep layers are computed, are reused
 * whole here.
 */

import { PlanError } from "../../errors.ts";
import { compilePlan } from "../../plan/compile.ts";
import type { Row } from "../../plan/row.ts";
import { philox } from "../../tensor/random.ts";
import { requestOf } from "../task.ts";
import { openTrials, psnrToFull, trial } from "../trials.ts";
import { expectModel, type Policy } from "./policy.ts";
import { rowsReusing } from "./rows.ts";

const SETTINGS = {
  full: { words: "share of the steps that is computed", or: 0.22, least: 0, most: 1 },
  shortest: { words: "least steps that are reused in a row", or: 2, least: 0, whole: true },
  longest: { words: "most steps that are reused in a row", or: 5, least: 0, whole: true },
  candidates: { words: "patterns that are tried", or: 5, least: 1, most: 100, whole: true },
  seed: { words: "what draws them", or: 0, least: 0, most: 2 ** 32 - 1, whole: true },
} as const;

/** The policy. */
export const PROCACHE: Policy<typeof SETTINGS> = {
  words: "few full steps, ever nearer to each other; the best of some patterns",
  settings: SETTINGS,
  record: async (task, settings) => {
    const { pipeline, steps, signal, onProgress } = task;
    const modules = pipeline.model.transformer.modules.map(({ name }) => name);
    const patterns = drawPatterns(steps, { ...settings, full: Math.round(settings.full * steps) });
    const trials = await openTrials({ pipeline, request: requestOf(task), signal });
    const total = (patterns.length + 1) * steps;
    onProgress?.(steps, total);
    const scored: { readonly rows: readonly Row[]; readonly psnr: number }[] = [];
    for (const pattern of patterns) {
      const rows = rowsReusing(pattern, modules.length);
      const plan = { modules, slots: ["joint"], rows: rows.map((row) => [row]) };
      const psnr = await psnrToFull(trials, await trial(trials, compilePlan(plan).steps));
      scored.push({ rows, psnr });
      onProgress?.((scored.length + 1) * steps, total);
    }
    const best = scored.reduce((a, b) => b.psnr > a.psnr ? b : a);
    return { rows: best.rows, recorded: { psnrDb: best.psnr, tried: scored.length } };
  },
  read: async (file, _, { sampler: { times }, model }) => {
    const { architecture, modules } = expectModel(model, "procache");
    const full = readSymbols(await file.json(), times.length);
    return { architecture, modules, rows: rowsReusing(full, modules.length) };
  },
};

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

/** A published pattern in inference order: 1 is computed, 0 reused, 2 partial, which is reused here. */
function readSymbols(value: unknown, steps: number): readonly boolean[] {
  if (!Array.isArray(value) || value.length !== steps) {
    const current = Array.isArray(value) ? value.length : JSON.stringify(value)?.slice(0, 60);
    refuse("it", `a list of ${steps} symbols, one for each step`, current);
  }
  const wrong = value.findIndex((symbol) => ![0, 1, 2].includes(symbol));
  if (wrong >= 0) refuse(`symbol ${wrong}`, "0, 1 or 2", JSON.stringify(value[wrong]));
  return value.map((symbol) => symbol === 1);
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(
    `Cannot import pattern: ${what} must be ${wanted}: current value is ${current}`,
  );
}
