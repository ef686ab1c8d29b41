/**
 * What the pictures of a plan show: for each step and each line of modules, the share that is reused.
 *
 * @module
 */
import type { Plan } from "../plan.ts";
import { readRow } from "../row.ts";

/** A plan as a table of shares. */
export interface HeatMap {
  /** Top to bottom. */
  readonly rows: readonly HeatRow[];
  /** By step: the state that is reused as a whole; `undefined` where the trunk runs. */
  readonly states: readonly ("=" | "+" | undefined)[];
}

/** One line: one module, or all modules of a kind. */
export interface HeatRow {
  /** Name of the module, or kind and count: `blocks.*.attn ×28`. */
  readonly label: string;
  /** By step: share of its modules that is reused, 0 … 1; 1 where a state is reused. */
  readonly shares: readonly number[];
}

/** What to make a table of. */
export interface HeatMapOptions {
  /** Index of the slot. */
  readonly slot: number;
  /** With more modules than this, the modules of one kind share a row. */
  readonly mostRows: number;
}

/** Makes the table of one slot of a plan. */
export function heatMap(plan: Plan, options: HeatMapOptions): HeatMap {
  const slot = plan.slots[options.slot];
  const steps = plan.rows.map((row, t) =>
    readRow(row[options.slot]!, plan.modules, `step ${t} (slot ${slot})`)
  );
  const lines = plan.modules.length > options.mostRows
    ? byKind(plan.modules)
    : plan.modules.map((label, m) => ({ label, members: [m] }));
  return {
    states: steps.map(({ kind }) =>
      kind === "hidden" ? "=" : kind === "residual" ? "+" : undefined
    ),
    rows: lines.map(({ label, members }) => ({
      label,
      shares: steps.map((step) =>
        step.kind === "modules" ? members.filter((m) => step.reuse[m]).length / members.length : 1
      ),
    })),
  };
}

/** Modules whose names differ only in numbers. */
function byKind(
  modules: readonly string[],
): readonly { readonly label: string; readonly members: readonly number[] }[] {
  const kinds = Map.groupBy(modules.keys(), (m) => modules[m]!.replace(/\.\d+\./g, ".*."));
  return [...kinds].map(([kind, members]) => ({ label: `${kind} ×${members.length}`, members }));
}
