/**
 * What is left of a plan where a run leaves out its first steps, because it begins from a picture.
 */
import { type Cell, loadsOf, makes } from "./cells.ts";
import type { CellWeights, PlanColumns, StepWeights } from "./columns.ts";
import type { Plan } from "./plan.ts";
import { cellShares, cellWeights, evenRow, moduleRow, type Row } from "./row.ts";

/** The rest of a plan. */
export interface PlanRest {
  readonly plan: Plan;
  /** Steps that do otherwise than the plan says, for what they would load or weigh is of steps that are left out. */
  readonly changed: number;
}

/**
 * The plan without its first steps. What would load a result of theirs is computed instead, and a step that weighs
 * outputs of theirs calls the model and follows the solver's own rule.
 */
export function restOfPlan(plan: Plan, from: number): PlanRest {
  if (from === 0) return { plan, changed: 0 };
  const columns = restOfColumns(plan, from);
  const before = plan.rows.slice(from);
  const slots = plan.slots.map((_, s) =>
    standalone(before.map((row) => row[s]!), { modules: plan.modules.length, columns }) // a row for each slot
  );
  const rows = before.map((_, step) => slots.map((made) => made[step]!.row));
  const features = slots[0]!.map(({ lists }) => lists); // there are columns for one slot only
  const shares = slots[0]!.map((made) => made.shares);
  const { tokenScore, ...kept } = plan;
  const isPartial = shares.some((each) => each !== null);
  const isOther = (step: number): boolean =>
    rows[step]!.some(({ text }, s) => text !== before[step]![s]!.text) ||
    (columns?.update?.[step] ?? null) !== (plan.columns?.update?.[from + step] ?? null);
  const sampler = { ...plan.sampler, times: plan.sampler.times.slice(from) };
  return {
    plan: {
      ...{ ...kept, sampler, rows },
      ...(columns !== undefined && {
        columns: {
          ...columns,
          ...(columns.features !== undefined && { features }),
          ...(columns.shares !== undefined && { shares }),
        },
      }),
      ...(tokenScore !== undefined && isPartial && { tokenScore }),
    },
    changed: rows.filter((_, step) => isOther(step)).length,
  };
}

/** A row, the weights of its forecast cells and the shares of its partial ones. */
interface Rest {
  readonly row: Row;
  readonly lists: CellWeights;
  readonly shares: StepWeights;
}

/** Rows that load nothing which no row before them has made. */
function standalone(
  rows: readonly Row[],
  { modules, columns }: { readonly modules: number; readonly columns: PlanColumns | undefined },
): readonly Rest[] {
  const features = new Array<number>(modules).fill(0);
  let hasState = false;
  return rows.map((row, step) => {
    const forecasts = row.kind === "forecast" && (columns?.forecast?.[step] ?? null) !== null;
    if (forecasts || (row.kind === "state" && hasState)) return { row, lists: null, shares: null };
    const all = row.kind === "modules" ? row : evenRow("run", modules);
    const weights = cellWeights(all, columns?.features?.[step]);
    const parts = cellShares(all, columns?.shares?.[step]);
    const own = all.cells.map((cell, m): Cell =>
      loadsOf(cell, weights[m]) > features[m]! ? "run" : cell
    );
    const kept = weights.flatMap((list, m) => list && own[m] === "extrapolate" ? [list] : []);
    const shares = parts.flatMap((share, m) =>
      share !== undefined && own[m] === "partial" ? [share] : []
    );
    own.forEach((cell, m) => features[m]! += makes(cell) ? 1 : 0);
    hasState = true; // every row that runs the trunk makes it
    return { row: moduleRow(own), lists: shortest(kept), shares: shortest(shares) };
  });
}

/** Numbers of cells as a file has them: one where all are the same. */
function shortest<T>(lists: readonly T[]): readonly T[] | null {
  const [first] = lists;
  if (first === undefined) return null;
  return lists.every((list) => list === first) ? [first] : lists;
}

/** Weights by step, `null` where they weigh more outputs than there are by then; features' are left to rows. */
function restOfColumns({ columns, rows }: Plan, from: number): PlanColumns | undefined {
  if (columns === undefined) return undefined;
  const { update, forecast, features, shares } = columns;
  let computed = 0;
  const kept: Record<"update" | "forecast", StepWeights[]> = { update: [], forecast: [] };
  for (const [step, [row]] of rows.entries()) {
    if (step < from) continue;
    const ownForecast = within(forecast?.[step], computed);
    if (row!.kind !== "forecast" || ownForecast === null) computed++; // one slot
    kept.forecast.push(ownForecast);
    kept.update.push(within(update?.[step], computed));
  }
  return {
    ...(update !== undefined && { update: kept.update }),
    ...(forecast !== undefined && { forecast: kept.forecast }),
    ...(features !== undefined && { features: features.slice(from) }),
    ...(shares !== undefined && { shares: shares.slice(from) }),
  };
}

function within(weights: StepWeights | undefined, computed: number): StepWeights {
  if (weights === undefined || weights === null) return null;
  return weights.length - 1 > computed ? null : weights;
}
