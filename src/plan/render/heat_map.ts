/**
 * What the pictures of a plan show: for each step and each line of modules, the share that is reused.
 */
import { grouped } from "../../grouped.ts";
import type { StepWeights } from "../columns.ts";
import { branchShare, type Cell, type WholeRow } from "../cells.ts";
import { readModuleName } from "../module_name.ts";
import type { PlanRows } from "../plan.ts";
import { cellShares, type Row } from "../row.ts";

/** A plan as a table of shares. */
export interface HeatMap {
  /** Top to bottom. */
  readonly rows: readonly HeatRow[];
  /** By step: what is reused or forecast as a whole; `undefined` where the trunk runs. */
  readonly wholes: readonly (WholeRow | undefined)[];
}

/** One line: one module, or all modules of a kind. */
export interface HeatRow {
  /** Name of the module, or kind and count: `blocks.*.attn ×28`. */
  readonly label: string;
  /** By step: share of its modules that is reused, 0 … 1; 1 where no module runs. */
  readonly shares: readonly number[];
  /** By step: what all of its modules do; `undefined` where they differ, or none runs. */
  readonly cells: readonly (Cell | undefined)[];
}

/** What to make a table of. */
export interface HeatMapOptions {
  readonly slot: number;
  /** With more modules than this, all modules of a kind share a row. */
  readonly mostRows: number;
}

/** Computes the table of one slot of a plan. */
export function heatMap(
  { modules, rows, columns }: PlanRows,
  { slot, mostRows }: HeatMapOptions,
): HeatMap {
  const steps = rows.map((row) => row[slot]!); // a row for each slot
  const runs = steps.map((step, i) => runningShares(step, columns?.shares?.[i]));
  const lines = modules.length > mostRows
    ? byForm(modules)
    : modules.map((label, m) => ({ label, members: [m] }));
  return {
    wholes: steps.map(wholeOf),
    rows: lines.map(({ label, members }) => {
      const cells = steps.map((step) =>
        step.kind === "modules" ? members.map((m) => step.cells[m]!) : [] // a cell for each module
      );
      return {
        label,
        shares: cells.map((all, i) =>
          all.length === 0
            ? 1
            : members.reduce((sum, m) => sum + 1 - runs[i]![m]!, 0) / members.length // as many
        ),
        cells: cells.map(([first, ...others]) =>
          others.every((cell) => cell === first) ? first : undefined
        ),
      };
    }),
  };
}

/** By module: the share of its branch that runs. */
function runningShares(row: Row, shares: StepWeights | undefined): readonly number[] {
  if (row.kind !== "modules") return [];
  const parts = cellShares(row, shares);
  return row.cells.map((cell, m) => branchShare(cell, parts[m]));
}

function wholeOf(row: Row): WholeRow | undefined {
  if (row.kind === "modules") return undefined;
  return row.kind === "state" ? row.state : row.kind;
}

/** Modules whose names differ only in numbers. */
function byForm(
  modules: readonly string[],
): readonly { readonly label: string; readonly members: readonly number[] }[] {
  const forms = grouped(modules.keys(), (m) => readModuleName(modules[m]!).form);
  return [...forms].map(([form, members]) => ({ label: `${form} ×${members.length}`, members }));
}
