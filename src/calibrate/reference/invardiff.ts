/**
 * The InvarDiff policy, mode `reference`: recorded change rates → which steps and modules to reuse,
 * exactly as the published DiT and FLUX code does.
 *
 * Source: InvarDiff (arXiv 2512.05134), published code v1.
 */
import { PlanError } from "../../errors.ts";
import type { Mask } from "../../plan/cache_book/layout.ts";
import { reuseRow, type Row, STATE_ROWS } from "../../plan/row.ts";
import type { Rates } from "./change_rate.ts";
import { quantile } from "./quantile.ts";

/** Rates by kind of feature: `step` and the kinds of modules. */
export type RatesByKind = Readonly<Record<string, Rates>>;

export interface InvarDiffSettings {
  /** Quantile level of each kind, 0 (never reuse) … 1; FLUX `context_attn` shares that of `attn`. */
  readonly levels: Readonly<Record<string, number>>;
  /** Share of the steps that is never reused at the start; at least one step is not. */
  readonly warmup: number;
  /** The published code that is followed: they differ in how phase 2 corrects phase 1. */
  readonly variant: "dit" | "flux";
}

/** Masks with the thresholds that gave them. */
export interface ReuseChoice {
  /** By kind; rates strictly below are reused. A kind has none when there are fewer than 3 steps. */
  readonly thresholds: Readonly<Record<string, number>>;
  /** By kind, as the rates; one column for kind `step`. */
  readonly masks: Readonly<Record<string, Mask>>;
}

/** The masks of a module: it is reused where all of its kinds are, in its column. */
export interface MaskedModule {
  /** For example `["attn", "context_attn"]` for joint attention. */
  readonly kinds: readonly string[];
  readonly column: number;
}

/**
 * Phase 1: the masks that phase 2 consults while it measures again.
 *
 * They are not coupled. FLUX protects only the first and last step of its modules here.
 *
 * @throws {PlanError} When a rate is not finite; names kind, step and column.
 * @throws {RangeError} When a level is absent or not in 0 … 1, or the warm-up is negative.
 */
export function provisionalChoice(rates: RatesByKind, settings: InvarDiffSettings): ReuseChoice {
  return choose(
    rates,
    settings,
    (kind, steps) =>
      settings.variant === "flux" && kind !== "step" ? 1 : warmupSteps(settings.warmup, steps),
  );
}

/**
 * Phase 2: the final masks, coupled: after reused steps one step runs in full.
 *
 * FLUX keeps the step mask of phase 1, so its `phase2` need not have kind `step`.
 *
 * @throws {PlanError} When a rate is not finite; names kind, step and column.
 * @throws {RangeError} When a level is absent or not in 0 … 1, or the warm-up is negative.
 */
export function finalChoice(
  phase1: RatesByKind,
  phase2: RatesByKind,
  settings: InvarDiffSettings,
): ReuseChoice {
  const rates = settings.variant === "flux" ? { ...phase2, step: phase1["step"]! } : phase2;
  const { thresholds, masks } = choose(
    rates,
    settings,
    (_, steps) => warmupSteps(settings.warmup, steps),
  );
  return { thresholds, masks: coupleMasks(masks) };
}

/** Number of first steps that are never reused: `ratio × steps` without its fraction, at least 1. */
export function warmupSteps(ratio: number, steps: number): number {
  if (!(ratio >= 0)) {
    throw new RangeError(
      `Cannot choose masks: warm-up must be at least 0: current value is ${ratio}`,
    );
  }
  return Math.max(1, Math.trunc(ratio * steps));
}

/**
 * Couples steps and modules: modules of reused steps are marked (bookkeeping), modules of the first
 * computed step after them are not, so that it refreshes every feature.
 */
export function coupleMasks(masks: Readonly<Record<string, Mask>>): Readonly<Record<string, Mask>> {
  const step = masks["step"]!.map((row) => row[0]!);
  return Object.fromEntries(
    Object.entries(masks).map(([kind, mask]) => [
      kind,
      kind === "step" ? mask : mask.map((row, t) => {
        if (step[t]) return row.map(() => true);
        return t > 0 && step[t - 1] ? row.map(() => false) : row;
      }),
    ]),
  );
}

/** Writes masks as the rows of a plan. */
export function maskRows(
  masks: Readonly<Record<string, Mask>>,
  modules: readonly MaskedModule[],
): readonly Row[] {
  return masks["step"]!.map(([reused], t) =>
    reused ? STATE_ROWS.hidden : reuseRow(
      modules.map(({ kinds, column }) => kinds.every((kind) => masks[kind]![t]![column]!)),
    )
  );
}

function choose(
  rates: RatesByKind,
  settings: InvarDiffSettings,
  protectedSteps: (kind: string, steps: number) => number,
): ReuseChoice {
  const thresholds: Record<string, number> = {};
  const masks: Record<string, Mask> = {};
  for (const [kind, table] of Object.entries(rates)) {
    checkFinite(kind, table);
    const threshold = thresholdOf(table, levelOf(kind, settings.levels));
    if (threshold !== undefined) thresholds[kind] = threshold;
    const first = protectedSteps(kind, table.length);
    masks[kind] = table.map((row, t) =>
      Array.from(
        row,
        (rate) => threshold !== undefined && t >= first && t < table.length - 1 && rate < threshold,
      )
    );
  }
  return { thresholds, masks };
}

/** All columns of a kind are pooled; the first and last row have no rate. */
function thresholdOf(rates: Rates, level: number): number | undefined {
  const pool = rates.slice(1, -1).flatMap((row) => [...row]);
  return pool.length === 0 ? undefined : quantile(Float32Array.from(pool), level);
}

/**
 * The level of a kind; FLUX `context_attn` shares that of `attn`.
 *
 * @throws {RangeError} When it is absent or not in 0 … 1.
 */
export function levelOf(kind: string, levels: Readonly<Record<string, number>>): number {
  const level = levels[kind] ?? (kind === "context_attn" ? levels["attn"] : undefined);
  if (level !== undefined && level >= 0 && level <= 1) return level;
  throw new RangeError(
    `Cannot choose masks: level of ${kind} must be 0 … 1: current value is ${level}`,
  );
}

function checkFinite(kind: string, rates: Rates): void {
  for (const [t, row] of rates.entries()) {
    const column = row.findIndex((rate) => !Number.isFinite(rate));
    if (column < 0) continue;
    throw new PlanError(
      `Cannot choose masks: rate of ${kind} at step ${t}, column ${column} must be finite: ` +
        `current value is ${row[column]}`,
    );
  }
}
