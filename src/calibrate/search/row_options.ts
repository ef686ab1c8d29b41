/**
 * What one step of a plan may do, as a search sees it: the rows between "run everything" and "reuse
 * everything" that are worth a look.
 *
 * @module
 */

/** The part of a module's name that says what it is: `attn`, `mlp`, … */
export function kindOf(module: string): string {
  return module.slice(module.lastIndexOf(".") + 1);
}

/**
 * Rows that reuse something and not simply every feature: the kept hidden state, the kept residual, and
 * rows that run the modules of one kind only, or a half, a quarter or three quarters of the depth.
 *
 * All subsets of the modules would be 2ⁿ; errors of neighbours in depth are alike, and so are those of a kind.
 */
export function partialRows(modules: readonly string[]): readonly string[] {
  const kinds = [...new Set(modules.map(kindOf))];
  const groups = [
    ...kinds.map((kind) => modules.map((module) => kindOf(module) === kind)),
    ...[0, 1].map((half) => modules.map((_, m) => partOf(m, modules.length, 2) === half)),
    ...[0, 1, 2, 3].map((part) => modules.map((_, m) => partOf(m, modules.length, 4) === part)),
  ];
  const masks = groups.flatMap((runs) => [runs, runs.map((run) => !run)]);
  const rows = masks.map((runs) => runs.map((run) => run ? "." : "r").join(""));
  return ["=", "+", ...new Set(rows.filter((row) => row.includes(".") && row.includes("r")))];
}

/** Whether a row loads a kept state and runs no trunk. */
export function loadsState(row: string): boolean {
  return row === "=" || row === "+";
}

/** Whether a row runs any module. */
export function computes(row: string): boolean {
  return row.includes(".");
}

/** Whether a row runs every module. */
export function isFull(row: string): boolean {
  return /^\.+$/.test(row);
}

function partOf(module: number, count: number, parts: number): number {
  return Math.floor(module * parts / count);
}
