/**
 * What a plan can say of a module or of a whole step, as two tables: the mark, what it costs, what it
 * loads and how it is drawn. Parsing, compiling, prices and pictures of plans read them, so a new kind
 * is a row here and, where it loads something, how the engine makes a feature of that.
 *
 * @module
 */

/** What a row says of one module. The merge into the residual stream always runs. */
export type Cell = "run" | "reuse";

/** What a row that runs no module loads: the trunk's output, or its difference from the embedding. */
export type State = "hidden" | "residual";

/** How something is drawn. */
export interface Look {
  /** Character in pictures made of text. */
  readonly shade: string;
  /** Colour of the 256-colour palette that reads on black and on white. */
  readonly code: number;
  /** Colours for readers' light and dark schemes, of the same order of lightness in both. */
  readonly fill: { readonly light: string; readonly dark: string };
}

/** A kind of cell. */
export interface CellKind {
  /** Its mark in the text of a row: one character. */
  readonly mark: string;
  /** What happens to the module, for legends. */
  readonly words: string;
  /** Share of the branch's arithmetic that runs. */
  readonly branch: 0 | 1;
  /** How many of the module's latest features it loads; 0 makes a new one. */
  readonly loads: number;
  /** How it is drawn. */
  readonly look: Look;
}

/** A kind of row that runs no module. */
export interface StateKind {
  /** The whole text of such a row: one character. */
  readonly mark: string;
  /** What is loaded, for messages. */
  readonly name: string;
  /** What happens, for legends. */
  readonly words: string;
  /** Whether the step embeds its latent. */
  readonly embeds: 0 | 1;
  /** How it is drawn. */
  readonly look: Look;
}

/** All kinds of cells. */
export const CELLS: Readonly<Record<Cell, CellKind>> = {
  run: {
    mark: ".",
    words: "runs",
    branch: 1,
    loads: 0,
    look: { shade: "█", code: 33, fill: { light: "#1f5fa8", dark: "#6fb1f5" } },
  },
  reuse: {
    mark: "r",
    words: "reused",
    branch: 0,
    loads: 1,
    look: { shade: "·", code: 244, fill: { light: "#e2e6ea", dark: "#2b3036" } },
  },
};

/** All kinds of rows that run no module. */
export const STATES: Readonly<Record<State, StateKind>> = {
  hidden: {
    mark: "=",
    name: "hidden state",
    words: "hidden state reused",
    embeds: 0,
    look: { shade: "=", code: 208, fill: { light: "#f5c27a", dark: "#8a5a14" } },
  },
  residual: {
    mark: "+",
    name: "trunk residual",
    words: "residual reused",
    embeds: 1,
    look: { shade: "+", code: 170, fill: { light: "#cf9fe0", dark: "#744487" } },
  },
};

/** Marks that later policies will use; refused by name until they are built. */
export const RESERVED: Readonly<Record<string, string>> = {
  "~": "forecast step",
  "x": "forecast cell",
  "p": "partial",
};

/** Names of all kinds of cells. */
export const CELL_NAMES: readonly Cell[] = Object.keys(CELLS) as Cell[]; // a Record has no others
/** Names of all kinds of states. */
export const STATE_NAMES: readonly State[] = Object.keys(STATES) as State[]; // a Record has no others
