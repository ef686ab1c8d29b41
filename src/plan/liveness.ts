/**
 * Static liveness: a plan is known in advance, so it also tells which results to keep and when to
 * drop them, and whether any step loads what was never made. A run-time cache cannot know; it keeps
 * everything.
 */
import { PlanError } from "../errors.ts";
import { loadsOf, makes, type State, STATE_NAMES, STATES } from "./cells.ts";
import type { PlanColumns } from "./columns.ts";
import type { PlanRows } from "./plan.ts";
import { cellWeights, type Row } from "./row.ts";

/** What one step does with one result: first loads this many of the latest, then makes a new one. */
interface Use {
  readonly loads: number;
  readonly makes: boolean;
}

const UNUSED: Use = { loads: 0, makes: false };

/** What liveness says about one result over all steps. */
export interface Lifetime {
  /** `keptAfter[step]`: how many of the latest results a later step loads. */
  readonly keptAfter: readonly number[];
  /** Largest number of steps between a load and the oldest make that it loads; 0 without loads. */
  readonly staleness: number;
}

/** Finds out how long to keep results from how the steps use them; every load must have enough of them. */
export function lifetime(uses: readonly Use[]): Lifetime {
  return { keptAfter: keptAfter(uses), staleness: staleness(uses) };
}

/** What each row does with a state: every row that runs the trunk makes it. */
export function usesOfState(rows: readonly Row[], state: State): readonly Use[] {
  return rows.map((row) => {
    if (row.kind === "modules") return { loads: 0, makes: true };
    return row.kind === "state" && row.state === state ? { loads: 1, makes: false } : UNUSED;
  });
}

/** By row, what it does with the features of each module; nothing where it runs no trunk. */
export function usesOfModules(
  rows: readonly Row[],
  features: PlanColumns["features"],
): readonly (readonly Use[])[] {
  return rows.map((row, step) => {
    if (row.kind !== "modules") return [];
    const weights = cellWeights(row, features?.[step]);
    return row.cells.map((cell, m) => ({ loads: loadsOf(cell, weights[m]), makes: makes(cell) }));
  });
}

/** What each row does with the features of module `m`. */
export function usesOfModule(all: ReturnType<typeof usesOfModules>, m: number): readonly Use[] {
  return all.map((uses) => uses[m] ?? UNUSED);
}

/**
 * Refuses a plan of which a step loads what was never made. So the first step of a slot runs every module.
 *
 * @param verb What cannot be done otherwise, for example `read plan`.
 * @throws {PlanError} Naming step, slot and what is loaded.
 */
export function checkLoads({ modules, slots, rows: all, columns }: PlanRows, verb: string): void {
  for (const [s, slot] of slots.entries()) {
    const rows = all.map((row) => row[s]!); // a row for each slot
    const features = usesOfModules(rows, columns?.features);
    const results = [
      ...STATE_NAMES.map((state) => [STATES[state].name, usesOfState(rows, state)] as const),
      ...modules.map((name, m) => [`module ${name}`, usesOfModule(features, m)] as const),
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

/** The first step that loads more results than there are, and how many were made before it. */
function shortage(
  uses: readonly Use[],
): { readonly step: number; readonly made: number } | undefined {
  let made = 0;
  for (const [step, { loads, makes }] of uses.entries()) {
    if (loads > made) return { step, made };
    if (makes) made++;
  }
  return undefined;
}

/** Goes backwards: a load needs results before it, a make supplies one of those that are needed. */
function keptAfter(uses: readonly Use[]): readonly number[] {
  const kept: number[] = new Array(uses.length);
  let needed = 0;
  for (const [step, { loads, makes }] of [...uses.entries()].reverse()) {
    kept[step] = needed;
    needed = Math.max(loads, needed - (makes ? 1 : 0));
  }
  return kept;
}

/** What is made of a loaded result, of some tokens anew, is as old as that. */
function staleness(uses: readonly Use[]): number {
  const made: number[] = [];
  let oldest = 0;
  for (const [step, { loads, makes }] of uses.entries()) {
    const loaded = loads > 0 ? made.at(-loads)! : step;
    oldest = Math.max(oldest, step - loaded);
    if (makes) made.push(loaded);
  }
  return oldest;
}
