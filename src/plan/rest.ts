/**
 * What is left of a plan where a run leaves out its first steps, because it begins from a picture.
 */
import { type Cell, CELLS } from "./cells.ts";
import type { PlanColumns, StepWeights } from "./columns.ts";
import type { Plan } from "./plan.ts";
import { evenRow, moduleRow, type Row } from "./row.ts";

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
  const rows = before.map((_, step) => slots.map((made) => made[step]!));
  const isOther = (step: number): boolean =>
    rows[step]!.some(({ text }, s) => text !== before[step]![s]!.text) ||
    (columns?.update?.[step] ?? null) !== (plan.columns?.update?.[from + step] ?? null);
  const sampler = { ...plan.sampler, times: plan.sampler.times.slice(from) };
  return {
    plan: { ...plan, sampler, rows, ...(columns !== undefined && { columns }) },
    changed: rows.filter((_, step) => isOther(step)).length,
  };
}

/** Rows that load nothing which no row before them has made. */
function standalone(
  rows: readonly Row[],
  { modules, columns }: { readonly modules: number; readonly columns: PlanColumns | undefined },
): readonly Row[] {
  const features = new Array<number>(modules).fill(0);
  let hasState = false;
  return rows.map((row, step) => {
    const forecasts = row.kind === "forecast" && (columns?.forecast?.[step] ?? null) !== null;
    if (forecasts || (row.kind === "state" && hasState)) return row;
    const { cells } = row.kind === "modules" ? row : evenRow("run", modules);
    const own = cells.map((cell, m): Cell => CELLS[cell].loads > features[m]! ? "run" : cell);
    own.forEach((cell, m) => features[m]! += CELLS[cell].loads === 0 ? 1 : 0);
    hasState = true; // every row that runs the trunk makes it
    return moduleRow(own);
  });
}

/** Weights by step, `null` where they weigh more outputs than there are by then. */
function restOfColumns({ columns, rows }: Plan, from: number): PlanColumns | undefined {
  if (columns === undefined) return undefined;
  const { update, forecast } = columns;
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
  };
}

function within(weights: StepWeights | undefined, computed: number): StepWeights {
  if (weights === undefined || weights === null) return null;
  return weights.length - 1 > computed ? null : weights;
}
