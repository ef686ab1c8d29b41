/**
 * Reads plans: the only way from JSON to a {@linkcode Plan}, so that later code need not check again.
 */
import { PlanError } from "../errors.ts";
import { checkColumns } from "./columns.ts";
import type { Plan } from "./plan.ts";
import { checkPlanFile, type PlanFile } from "./plan_schema.ts";
import { countCells, readRow, type Row } from "./row.ts";
import { CELL_NAMES, CELLS } from "./cells.ts";
import { checkLoads } from "./liveness.ts";

/** Longest plan text that is parsed, in UTF-16 code units. */
export const MAX_PLAN_LENGTH = 4_000_000;

/**
 * Reads a plan from JSON text.
 *
 * @throws {PlanError} When the text is longer than 4 MB, is not JSON, has
 * unknown keys or another version, when a row does not fit the modules, or a step loads what no step
 * before it has stored.
 */
export function parsePlan(text: string): Plan {
  if (text.length > MAX_PLAN_LENGTH) {
    throw new PlanError(
      `Cannot read plan: its text must be at most ${MAX_PLAN_LENGTH} characters: ` +
        `current value is ${text.length}`,
    );
  }
  return planFromJson(parseJson(text));
}

/**
 * Reads a plan from parsed JSON, for example a JSON module.
 *
 * @throws {PlanError} As {@linkcode parsePlan}.
 */
export function planFromJson(value: unknown): Plan {
  return planOf(checkPlanFile(value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PlanError(
      `Cannot read plan: its text must be JSON: current value is ${start(text)}`,
      { cause },
    );
  }
}

/** Checks what spans several fields and fills in what the file may leave out. */
function planOf(file: PlanFile): Plan {
  const slots = file.slots ?? ["joint"];
  checkDistinct("modules", file.modules);
  checkDistinct("slots", slots);
  checkDistinct("fingerprints", file.fingerprints);
  if (file.rows.length !== file.sampler.times.length) {
    throw new PlanError(
      `Cannot read plan: rows must be ${file.sampler.times.length} (one per time of the ` +
        `sampler): current value is ${file.rows.length}`,
    );
  }
  const rows = file.rows.map((entry, step) => readEntry(entry, step, slots, file.modules));
  const plan = { ...file, slots, rows, context: file.context ?? {} };
  if (file.version === 2) checkOwned(plan);
  else refuseLater(rows);
  checkLoads(plan, "read plan");
  return plan;
}

/** Cells that plans of version 1 do not have. */
const LATER = CELL_NAMES.filter((cell) => CELLS[cell].since !== undefined);

/** A plan of version 1 runs modules or reuses them. */
function refuseLater(rows: Plan["rows"]): void {
  const wanted = (row: Row): boolean =>
    row.kind === "forecast" || LATER.some((cell) => countCells(row, cell) > 0);
  for (const [step, row] of rows.entries()) {
    const wrong = row.find(wanted);
    if (wrong === undefined) continue;
    throw new PlanError(
      `Cannot read plan: step ${step} must be without forecasts, partial cells and what is left out in version 1: ` +
        `current value is "${wrong.text}"`,
    );
  }
}

/** What only a plan that owns its times may have, or must be. */
function checkOwned({ sampler: { times }, columns, tokenScore, slots, rows }: Plan): void {
  const wrong = times.findIndex((time, step) => step > 0 && !(time < times[step - 1]!));
  if (wrong > 0) {
    throw new PlanError(
      `Cannot read plan: time of step ${wrong} must be below that of the step before ` +
        `(${times[wrong - 1]}): current value is ${times[wrong]}`,
    );
  }
  const steps = rows.map((row) => ({
    called: row.every(({ kind }) => kind !== "forecast"),
    cells: row.reduce((count, each) => count + countCells(each, "extrapolate"), 0),
    partial: row.reduce((count, each) => count + countCells(each, "partial"), 0),
  }));
  if (tokenScore !== undefined && steps.every(({ partial }) => partial === 0)) {
    throw new PlanError(
      'Cannot read plan: tokenScore must be absent where no row has a cell "p": ' +
        `current value is ${JSON.stringify(tokenScore)}`,
    );
  }
  const needsNone = steps.every(({ called, cells, partial }) => called && cells + partial === 0);
  if (columns === undefined && needsNone) return;
  if (slots.length > 1) {
    throw new PlanError(
      "Cannot read plan: slots must be one where there are columns, forecasts or partial cells: " +
        `current value is ${slots}`,
    );
  }
  checkColumns(columns ?? {}, steps);
}

function readEntry(
  entry: string | readonly string[],
  step: number,
  slots: readonly string[],
  modules: readonly string[],
): readonly Row[] {
  const rows = typeof entry === "string" ? slots.map(() => entry) : entry;
  if (rows.length !== slots.length) {
    throw new PlanError(
      `Cannot read plan: step ${step} must have ${slots.length} rows (one per slot): ` +
        `current value is ${rows.length}`,
    );
  }
  return rows.map((row, s) => readRow(row, modules, `step ${step} (slot ${slots[s]})`));
}

function checkDistinct(what: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new PlanError(
        `Cannot read plan: ${what} must be distinct: current value is "${name}" twice`,
      );
    }
    seen.add(name);
  }
}

/** The start of a text, short enough for a message. */
function start(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
