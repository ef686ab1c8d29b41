/**
 * One row of a plan: what one call of the model does at one step.
 */
import { PlanError } from "../errors.ts";
import {
  type Cell,
  CELL_NAMES,
  CELLS,
  FORECAST,
  makes,
  type State,
  STATE_NAMES,
  STATES,
  WHOLE_ROWS,
} from "./cells.ts";
import type { CellWeights, StepWeights } from "./columns.ts";

/** What a row says: load a kept state and run no module, something for each module, or not to call the model. */
export type Row = CallRow | ForecastRow;

/** A row that calls the model. */
export type CallRow = StateRow | ModuleRow;

/** A row that loads a kept state; only the head runs, and the embedding where the state wants it. */
export interface StateRow {
  /** Always `"state"`. */
  readonly kind: "state";
  /** What is loaded. */
  readonly state: State;
  /** Its mark: equal rows have equal text. */
  readonly text: string;
}

/** A row that runs the trunk. */
export interface ModuleRow {
  /** Always `"modules"`. */
  readonly kind: "modules";
  /** One for each module, in execution order. */
  readonly cells: readonly Cell[];
  /** Their marks: equal rows have equal text. */
  readonly text: string;
}

/** A row that calls no model; numbers of the plan say of what its output is made. */
export interface ForecastRow {
  /** Always `"forecast"`. */
  readonly kind: "forecast";
  /** Its mark. */
  readonly text: string;
}

/** The row that calls no model. */
export const FORECAST_ROW: ForecastRow = { kind: "forecast", text: FORECAST.mark };

/** The rows that load a kept state. */
export const STATE_ROWS: Readonly<Record<State, StateRow>> = {
  hidden: stateRow("hidden"),
  residual: stateRow("residual"),
};

/** The row that says this of each module. */
export function moduleRow(cells: readonly Cell[]): ModuleRow {
  return { kind: "modules", cells, text: cells.map((cell) => CELLS[cell].mark).join("") };
}

/** The row that runs every module but those to reuse. */
export function reuseRow(reuse: readonly boolean[]): ModuleRow {
  return moduleRow(reuse.map((reused) => reused ? "reuse" : "run"));
}

/** The row that says the same of so many modules. */
export function evenRow(cell: Cell, modules: number): ModuleRow {
  return moduleRow(Array.from({ length: modules }, () => cell));
}

/** A text that is equal for equal rows. */
export function textOf(rows: readonly Row[]): string {
  return rows.map(({ text }) => text).join();
}

/** Whether a row runs any module. */
export function computes(row: Row): boolean {
  return row.kind === "modules" && row.cells.some(makes);
}

/** Whether a row runs every module. */
export function isFull(row: Row): boolean {
  return row.kind === "modules" && row.cells.every((cell) => cell === "run");
}

/** How many cells of a row are of a kind. */
export function countCells(row: Row, cell: Cell): number {
  return row.kind === "modules" ? row.cells.filter((each) => each === cell).length : 0;
}

/** By module: the weights of its kept features where a row forecasts its next one. */
export function cellWeights(
  row: ModuleRow,
  lists: CellWeights = null,
): readonly (readonly number[] | undefined)[] {
  return numbersOf(row, "extrapolate", lists);
}

/** By module: the share of its tokens that a row computes of it, where it computes some. */
export function cellShares(
  row: ModuleRow,
  shares: StepWeights = null,
): readonly (number | undefined)[] {
  return numbersOf(row, "partial", shares);
}

/** By module: what a column has for the cells of a kind, for all alike or for each in turn. */
function numbersOf<T>(row: ModuleRow, kind: Cell, column: readonly T[] | null): (T | undefined)[] {
  let next = 0;
  return row.cells.map((cell) => {
    if (cell !== kind || column === null) return undefined;
    return column.length === 1 ? column[0] : column[next++];
  });
}

const BY_MARK: ReadonlyMap<string, Cell> = new Map(
  CELL_NAMES.map((cell) => [CELLS[cell].mark, cell]),
);

/**
 * Reads one row: `=`, `+`, `~`, or one mark per module, `.` run, `r` reuse, `x` forecast, `p` run for
 * some tokens or `-` leave out.
 *
 * @param where Place of the row, for messages, for example `step 3 (slot joint)`.
 * @throws {PlanError} When a mark is unknown, or their count is not that of the modules.
 */
export function readRow(text: string, modules: readonly string[], where: string): Row {
  const state = STATE_NAMES.find((name) => STATES[name].mark === text);
  if (state !== undefined) return STATE_ROWS[state];
  if (text === FORECAST.mark) return FORECAST_ROW;
  if (text.length !== modules.length) {
    const states = Object.values(WHOLE_ROWS).map(({ mark }) => `"${mark}"`).join(", ");
    throw new PlanError(
      `Cannot read plan: ${where} must be ${states} or one mark for each of ${modules.length} ` +
        `modules: current value is ${text.length} marks`,
    );
  }
  const cells = modules.map((name, m) => readMark(text[m]!, `${where}, module ${name}`));
  return { kind: "modules", cells, text };
}

function readMark(mark: string, where: string): Cell {
  const cell = BY_MARK.get(mark);
  if (cell !== undefined) return cell;
  throw new PlanError(
    `Cannot read plan: ${where} must be ${
      [...BY_MARK.keys()].map((known) => `"${known}"`).join(" or ")
    }: current value is ${JSON.stringify(mark)}`,
  );
}

function stateRow(state: State): StateRow {
  return { kind: "state", state, text: STATES[state].mark };
}
