/**
 * What a plan can say of a module or of a whole step, as two tables: the mark, what it costs, what it
 * loads and how it is rendered. Parsing, compiling, prices and pictures of plans read them, so a new kind
 * is a row here and, where it loads something, how the engine makes a feature of that.
 */

/** What a row says of one module. The merge into the residual stream runs unless the module is left out. */
export type Cell = "run" | "reuse" | "extrapolate" | "partial" | "skip";

/** What a row that runs no module loads: the trunk's output, or its difference from the embedding. */
export type State = "hidden" | "residual";

/** What all kinds have: how they are written and rendered. */
export interface Kind {
  /** One character: of a cell its mark in a row, of a state the whole row. */
  readonly mark: string;
  /** Its meaning, for legends. */
  readonly words: string;
  /** Character in pictures made of text. */
  readonly shade: string;
  /** Colour of the 256-colour palette that reads on black and on white. */
  readonly code: number;
  /** Colours for light and dark schemes; kinds are ordered by lightness alike in both. */
  readonly fill: { readonly light: string; readonly dark: string };
}

export interface CellKind extends Kind {
  /** Share of the branch's arithmetic that runs; `"share"` = as many tokens as a column says. */
  readonly branch: 0 | 1 | "share";
  /** How many of the module's latest features it loads; 0 makes a new one, `weights` loads as many as it weighs. */
  readonly loads: 0 | 1 | "weights";
  /** Whether its feature is merged into the residual stream. */
  readonly merges: 0 | 1;
  /** First version of plans that may have it; absent = 1. */
  readonly since?: 2;
}

/** A kind of row that runs no module. */
export interface StateKind extends Kind {
  /** What is loaded, for messages. */
  readonly name: string;
  /** Whether the step embeds its latent. */
  readonly embeds: 0 | 1;
}

export const CELLS: Readonly<Record<Cell, CellKind>> = {
  run: {
    ...{ mark: ".", words: "runs", branch: 1, loads: 0, merges: 1 },
    ...{ shade: "█", code: 33, fill: { light: "#1f5fa8", dark: "#6fb1f5" } },
  },
  reuse: {
    ...{ mark: "r", words: "reused", branch: 0, loads: 1, merges: 1 },
    ...{ shade: "·", code: 244, fill: { light: "#e2e6ea", dark: "#2b3036" } },
  },
  extrapolate: {
    ...{ mark: "x", words: "forecast", branch: 0, loads: "weights", merges: 1, since: 2 },
    ...{ shade: "×", code: 37, fill: { light: "#a3d5d3", dark: "#1f6b6b" } },
  },
  partial: {
    ...{ mark: "p", words: "some tokens", branch: "share", loads: 1, merges: 1, since: 2 },
    ...{ shade: "◧", code: 69, fill: { light: "#7fa8d4", dark: "#3f6f9f" } },
  },
  skip: {
    ...{ mark: "-", words: "left out", branch: 0, loads: 0, merges: 0, since: 2 },
    ...{ shade: "–", code: 240, fill: { light: "#f1f3f5", dark: "#1d2125" } },
  },
};

export const STATES: Readonly<Record<State, StateKind>> = {
  hidden: {
    ...{ mark: "=", words: "hidden state reused", name: "hidden state", embeds: 0 },
    ...{ shade: "=", code: 208, fill: { light: "#f5c27a", dark: "#8a5a14" } },
  },
  residual: {
    ...{ mark: "+", words: "residual reused", name: "trunk residual", embeds: 1 },
    ...{ shade: "+", code: 170, fill: { light: "#cf9fe0", dark: "#744487" } },
  },
};

/** A whole row that calls no model: what the model would put out is made of what it put out before. */
export const FORECAST: Kind = {
  ...{ mark: "~", words: "step forecast" },
  ...{ shade: "~", code: 71, fill: { light: "#bfe3bf", dark: "#2e5d34" } },
};

/** What a row may say of a step as a whole. */
export type WholeRow = State | "forecast";

/** Every kind of row that runs no module. */
export const WHOLE_ROWS: Readonly<Record<WholeRow, Kind>> = { ...STATES, forecast: FORECAST };

export const CELL_NAMES: readonly Cell[] = Object.keys(CELLS) as Cell[]; // a Record has no others
export const STATE_NAMES: readonly State[] = Object.keys(STATES) as State[]; // a Record has no others

/** How many of a module's latest features a cell loads; 0 makes a new one. */
export function loadsOf(cell: Cell, weights: readonly number[] = []): number {
  const { loads } = CELLS[cell];
  return loads === "weights" ? weights.length : loads;
}

/** Whether a cell makes a new feature, of all tokens or of some. */
export function makes(cell: Cell): boolean {
  return CELLS[cell].branch !== 0;
}

/** Share of the branch's arithmetic that a cell runs. @param share Of its tokens, where a column says it. */
export function branchShare(cell: Cell, share = 1): number {
  const { branch } = CELLS[cell];
  return branch === "share" ? share : branch;
}
