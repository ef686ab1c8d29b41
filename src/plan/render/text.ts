/**
 * Heat-map of a plan as text for a terminal: steps from left to right, modules from top to bottom.
 */
import { CELLS, type Kind, WHOLE_ROWS } from "../cells.ts";
import type { Plan } from "../plan.ts";
import { type HeatMap, heatMap, type HeatRow } from "./heat_map.ts";

/** How to render. */
export interface TextOptions {
  /** `ansi` colours with escape codes; `plain` (default) has shades only. */
  readonly colors?: "ansi" | "plain";
}

/** Shades of lines whose modules differ, from few to many that are reused. */
const PARTLY = ["▓", "▒", "░"] as const;
const KINDS = [...Object.values(CELLS), ...Object.values(WHOLE_ROWS)];
/** Colours of the 256-colour palette, by character. */
const CODES: ReadonlyMap<string, number> = new Map([
  ...KINDS.map(({ shade, code }) => [shade, code] as const),
  ["▓", CELLS.run.code],
  ["▒", 37],
  ["░", 37],
]);
/** Most lines of single modules; beyond it, modules of one kind share a line. */
const MOST_LINES = 32;

/**
 * Renders a plan: one column per step; one line per module, or per kind of module when there are more
 * than 32. A mark says which part of the line's modules runs.
 */
export function renderText(plan: Plan, options: TextOptions = {}): string {
  const paint = options.colors === "ansi" ? colored : (text: string): string => text;
  const maps = plan.slots.map((_, slot) => heatMap(plan, { slot, mostRows: MOST_LINES }));
  const pictures = maps.map((map, s) => [
    ...(plan.slots.length > 1 ? [`slot ${plan.slots[s]}`] : []),
    ...picture(map, paint),
  ]);
  const { name, times } = plan.sampler;
  return [
    `${plan.architecture}, ${plan.modules.length} modules, ${name}, ${times.length} steps`,
    ...pictures.flat(),
    ...legend(paint),
  ].join("\n") + "\n";
}

/** One line on cells, one on whole rows. */
function legend(paint: (text: string) => string): readonly string[] {
  const entries = (kinds: readonly Kind[]): readonly string[] =>
    kinds.map(({ shade, words }) => `${paint(shade)} ${words}`);
  const [first, ...others] = entries(Object.values(CELLS));
  return [
    [first, `${paint(PARTLY.join(""))} partly`, ...others].join("  "),
    entries(Object.values(WHOLE_ROWS)).join("  "),
  ];
}

function picture(map: HeatMap, paint: (text: string) => string): readonly string[] {
  const width = Math.max(...map.rows.map(({ label }) => label.length));
  return [
    `${" ".repeat(width)} ${ruler(map.rows[0]!.shares.length)}`,
    ...map.rows.map((row) => `${row.label.padStart(width)} ${paint(marks(map, row))}`),
  ];
}

function marks({ wholes }: HeatMap, { shares, cells }: HeatRow): string {
  return shares.map((share, t) => {
    const [whole, cell] = [wholes[t], cells[t]];
    if (whole !== undefined) return WHOLE_ROWS[whole].shade;
    if (cell !== undefined) return CELLS[cell].shade;
    return PARTLY[Math.min(2, Math.floor(share * 3))];
  }).join("");
}

/** Numbers every ten steps: `0         10        20`. */
function ruler(steps: number): string {
  const tens = Array.from({ length: Math.ceil(steps / 10) }, (_, i) => `${10 * i}`.padEnd(10));
  return tens.join("").trimEnd();
}

/** Colours runs of equal marks. */
function colored(text: string): string {
  return text.replace(/(.)\1*/gu, (run, mark: string) => {
    const code = CODES.get(mark);
    return code === undefined ? run : `\x1b[38;5;${code}m${run}\x1b[0m`;
  });
}
