/**
 * How the steps of a plan use each result that a later step may load, and the proof that none loads
 * what was never made.
 *
 * @module
 */
import { PlanError } from "../errors.ts";
import { CELLS, type State, STATE_NAMES, STATES } from "./cells.ts";
import { shortage, type Use } from "./liveness.ts";
import type { PlanRows } from "./plan.ts";
import type { Row } from "./row.ts";

/** What each row does with a state: every row that runs the trunk makes it. */
export function usesOfState(rows: readonly Row[], state: State): readonly Use[] {
  return rows.map((row) => {
    if (row.kind === "modules") return "make";
    return row.state === state ? 1 : 0;
  });
}

/** What each row does with the features of module `m`. */
export function usesOfModule(rows: readonly Row[], m: number): readonly Use[] {
  return rows.map((row) => row.kind === "state" ? 0 : CELLS[row.cells[m]!].loads || "make" // a cell for each module
  );
}

/**
 * Refuses a plan of which a step loads what was never made. So the first step of a slot runs every module.
 *
 * @param verb What cannot be done otherwise, for example `read plan`.
 * @throws {PlanError} Naming step, slot and what is loaded.
 */
export function checkLoads({ modules, slots, rows: all }: PlanRows, verb: string): void {
  for (const [s, slot] of slots.entries()) {
    const rows = all.map((row) => row[s]!); // a row for each slot
    const results = [
      ...STATE_NAMES.map((state) => [STATES[state].name, usesOfState(rows, state)] as const),
      ...modules.map((name, m) => [`module ${name}`, usesOfModule(rows, m)] as const),
    ];
    const [first] = results.flatMap(([what, uses]) => {
      const missing = shortage(uses);
      return missing === undefined ? [] : [{ what, ...missing }];
    }).toSorted((a, b) => a.step - b.step);
    if (first === undefined) continue;
    const { what, step, made } = first;
    throw new PlanError(
      `Cannot ${verb}: step ${step} (slot ${slot}), ${what} must be computed, for ` +
        `${made === 0 ? "nothing" : `only ${made} of what it loads`} is stored before this ` +
        `step: current value is "${rows[step]!.text}"`,
    );
  }
}
