/**
 * What the map of a plan shows: at each step, which lines of modules are computed.
 */

import type { StepKind } from "../plan/compile.ts";
import { heatMap } from "../plan/render/heat_map.ts";
import type { PlanFile } from "../plan/plan_schema.ts";
import { readRow } from "../plan/row.ts";
import { countKinds } from "../plan/step_counts.ts";

/** A plan as columns of cells. */
export interface PlanShape {
  readonly steps: number;
  /** Lines of modules. */
  readonly rows: number;
  /** Cells of which anything is computed, as `[step, row]`. */
  readonly computed: readonly (readonly [number, number])[];
  /** Kind of each step, where `reuse` is a step that computes no module. */
  readonly kinds: readonly StepKind[];
}

/** With more modules than this, the modules of one kind share a row. */
const MOST_ROWS = 64;

/** The shape of a plan's JSON, which the server has checked; the first of its model calls. */
export function planShape(file: PlanFile): PlanShape {
  const { modules } = file;
  const rows = file.rows.map((row, step) => {
    const text = typeof row === "string" ? row : row[0]!; // a row for each call
    return [readRow(text, modules, `step ${step}`)] as const;
  });
  const map = heatMap({ modules, slots: ["joint"], rows }, { slot: 0, mostRows: MOST_ROWS });
  const computed = map.rows.flatMap(({ shares }, row) =>
    shares.flatMap((share, step) => share < 1 ? [[step, row] as const] : [])
  );
  const kinds = rows.map(([row], step) =>
    row.kind === "forecast" ? row.kind : kindOf(map.rows.map(({ shares }) => shares[step] ?? 0))
  );
  return { steps: rows.length, rows: map.rows.length, computed, kinds };
}

/** The shape of full computation. */
export function fullShape(steps: number, rows: number): PlanShape {
  const computed = Array.from({ length: steps * rows }, (_, i) => {
    return [Math.floor(i / rows), i % rows] as const;
  });
  return { steps, rows, computed, kinds: Array.from({ length: steps }, () => "full") };
}

/**
 * A shape in a sentence.
 *
 * @param inFull Steps of the full run that it stands for.
 */
export function shapeWords({ steps, kinds }: PlanShape, inFull: number = steps): string {
  const { full, mixed, reuse, forecast } = countKinds(kinds);
  if (full === steps && steps === 1) return "The only step is computed in full.";
  if (full === steps && steps === inFull) return `All ${steps} steps are computed in full.`;
  if (full === steps) return `${steps} steps instead of ${inFull}, each computed in full.`;
  const parts = mixed === 0 ? "" : `, ${mixed} in part`;
  const rest = [
    ...(reuse > 0 || forecast === 0 ? [`${reuse} reuse what is there`] : []),
    ...(forecast === 0 ? [] : [`${forecast} are forecast`]),
  ];
  return `${full} of ${steps} steps are computed in full${parts}; ${rest.join(", ")}.`;
}

function kindOf(shares: readonly number[]): StepKind {
  if (shares.every((share) => share === 0)) return "full";
  return shares.every((share) => share === 1) ? "reuse" : "mixed";
}
