/**
 * What the pictures of a plan show: for each step and each line of modules, the share that is reused.
 */
import { grouped } from "../../grouped.ts";
import { type Cell, CELLS, type WholeRow } from "../cells.ts";
import { readModuleName } from "../module_name.ts";
import type { PlanRows } from "../plan.ts";
import type { Row } from "../row.ts";

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
export function heatMap({ modules, rows }: PlanRows, { slot, mostRows }: HeatMapOptions): HeatMap {
  const steps = rows.map((row) => row[slot]!); // a row for each slot
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
        shares: cells.map((all) =>
          all.length === 0 ? 1 : all.filter((cell) => CELLS[cell].branch === 0).length / all.length
        ),
        cells: cells.map(([first, ...others]) =>
          others.every((cell) => cell === first) ? first : undefined
        ),
      };
    }),
  };
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
