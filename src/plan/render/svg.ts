/**
 * Heat-map of a plan as SVG: steps from left to right, modules from top to bottom.
 */
import { type Cell, CELL_NAMES, CELLS, WHOLE_ROWS } from "../cells.ts";
import { type HeatMap, heatMap, type HeatRow } from "./heat_map.ts";
import { readModuleName } from "../module_name.ts";
import type { Plan } from "../plan.ts";

/** Sizes in pixels. */
interface Grid {
  readonly left: number;
  readonly cellWidth: number;
  readonly cellHeight: number;
  readonly width: number;
  readonly height: number;
}

const GAP = 1;
const FONT = 10;
const LEGEND = 26;
const SLOT_HEAD = 34;
const TICKS = 20;
/** What fills a column before other kinds of cells are painted over it. */
const BACKGROUND: Cell = "reuse";

/** Every kind of cell and of whole row, with the name of its style. */
const KINDS = Object.entries({ ...CELLS, ...WHOLE_ROWS });

/** Colours have the same order of lightness in light and dark, so that they work without hue. */
const STYLE = `
.plan-map { font: ${FONT}px ui-sans-serif, system-ui, sans-serif; }
.plan-map text { fill: #333; }
${fills("light")}
@media (prefers-color-scheme: dark) {
.plan-map text { fill: #ddd; }
${fills("dark")}
}
`;

function fills(scheme: "light" | "dark"): string {
  return KINDS.map(([name, { fill }]) => `.plan-map .${name} { fill: ${fill[scheme]}; }`)
    .join("\n");
}

/**
 * Renders a plan as a stand-alone SVG document: one column per step, one line per module, one picture
 * per slot. Follows the light or dark scheme of the reader; needs no other file.
 */
export function renderSvg(plan: Plan): string {
  const grid = gridOf(plan);
  const slotHeight = SLOT_HEAD + grid.height + TICKS;
  const total = {
    width: Math.max(grid.left + grid.width + FONT, legendEnds().at(-1)!), // there are kinds
    height: plan.slots.length * slotHeight + LEGEND,
  };
  const maps = plan.slots.map((_, slot) => heatMap(plan, { slot, mostRows: Infinity }));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="plan-map" role="img" width="${total.width}" ` +
    `height="${total.height}" viewBox="0 0 ${total.width} ${total.height}">`,
    `<title>${escaped(titleOf(plan))}</title>`,
    `<desc>${escaped(maps.map((map, s) => describe(map, plan.slots[s]!)).join(" "))}</desc>`,
    `<style>${STYLE}</style>`,
    ...maps.map((map, s) =>
      `<g transform="translate(${grid.left} ${s * slotHeight + SLOT_HEAD})">` +
      `${picture(map, grid, headOf(plan, s))}</g>`
    ),
    legend(plan.slots.length * slotHeight),
    "</svg>\n",
  ].join("\n");
}

function gridOf(plan: Plan): Grid {
  const steps = plan.rows.length;
  const cellWidth = clamp(Math.round(700 / steps), 4, 18);
  const cellHeight = clamp(Math.round(640 / plan.modules.length), 5, 14);
  const longest = Math.max(...plan.modules.map((name) => name.length));
  return {
    left: Math.ceil(longest * FONT * 0.56) + FONT, // mean width of a letter
    cellWidth,
    cellHeight,
    width: steps * cellWidth,
    height: plan.modules.length * cellHeight,
  };
}

function picture(map: HeatMap, grid: Grid, head: string): string {
  return [
    text(0, -22, head, "start"),
    ...columns(map, grid),
    ...CELL_NAMES.filter((cell) => cell !== BACKGROUND).map((cell) =>
      `<path class="${cell}" d="${cellsOf(cell, map, grid)}"/>`
    ),
    ...map.wholes.map((whole, t) =>
      whole === undefined || grid.cellWidth < 7
        ? ""
        : text((t + 0.5) * grid.cellWidth, -4, WHOLE_ROWS[whole].mark, "middle")
    ),
    ...ticks(grid),
    ...rowLabels(map.rows, grid),
  ].join("");
}

/** A column for each step: reused as a whole, or wherever no other kind of cell is painted over it. */
function columns(map: HeatMap, grid: Grid): readonly string[] {
  return map.wholes.map((whole, t) => {
    return `<rect class="${whole ?? BACKGROUND}" x="${t * grid.cellWidth}" width="${
      grid.cellWidth - GAP
    }" ` +
      `height="${grid.height}"/>`;
  });
}

/** One path for all cells of a kind; neighbours below each other become one rectangle. */
function cellsOf(cell: Cell, map: HeatMap, grid: Grid): string {
  const { cellWidth, cellHeight } = grid;
  const gap = cellHeight < 8 ? 0 : GAP;
  return map.wholes.flatMap((_, t) =>
    stacks(map.rows.map(({ cells }) => cells[t] === cell), gap > 0).map(([from, to]) => {
      const height = (to - from) * cellHeight - gap;
      return `M${t * cellWidth} ${from * cellHeight}h${cellWidth - GAP}v${height}h${
        GAP - cellWidth
      }z`;
    })
  ).join("");
}

/** `[from, to)` of each run of true values, or of each single one. */
function stacks(runs: readonly boolean[], single: boolean): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  for (const [m, on] of runs.entries()) {
    if (!on) continue;
    const last = found.at(-1);
    if (last?.[1] === m && !single) last[1] = m + 1;
    else found.push([m, m + 1]);
  }
  return found;
}

function ticks({ cellWidth, width, height }: Grid): readonly string[] {
  const steps = width / cellWidth;
  const every = cellWidth < 7 ? 10 : 5;
  return Array.from(
    { length: Math.ceil(steps / every) },
    (_, i) => text((i * every + 0.5) * cellWidth, height + FONT + 4, String(i * every), "middle"),
  );
}

/** Labels every line; where lines are thinner than letters, only the first line of some blocks. */
function rowLabels(rows: readonly HeatRow[], { cellHeight }: Grid): readonly string[] {
  const all = cellHeight >= FONT;
  let last: string | undefined;
  let free = 0;
  return rows.map(({ label }, m) => {
    const block = readModuleName(label).block || label;
    const first = block !== last;
    last = block;
    const top = m * cellHeight;
    if (!all && !(first && top >= free)) return "";
    free = top + FONT + 3;
    return text(-5, top + Math.min(cellHeight, FONT) / 2 + FONT * 0.35, all ? label : block, "end");
  });
}

function legend(top: number): string {
  const starts = [FONT, ...legendEnds()];
  return KINDS.map(([style], i) => {
    const x = starts[i]!; // one for each
    return `<rect class="${style}" x="${x}" y="${top + 6}" width="10" height="10"/>` +
      text(x + 15, top + 15, LEGEND_WORDS[i]!, "start");
  }).join("");
}

/** What the legend says of each kind. */
const LEGEND_WORDS = KINDS.map(([style, { mark, words }]) =>
  Object.hasOwn(WHOLE_ROWS, style) ? `${mark} ${words}` : words
);

/** Where each kind's part of the legend ends. */
function legendEnds(): readonly number[] {
  let end = FONT;
  return LEGEND_WORDS.map((words) => end += 40 + Math.ceil(words.length * FONT * 0.5));
}

function titleOf(plan: Plan): string {
  return `Cache plan for ${plan.architecture}: ${plan.modules.length} modules, ` +
    `${plan.sampler.name}, ${plan.rows.length} steps`;
}

function headOf(plan: Plan, s: number): string {
  return plan.slots.length > 1 ? `${titleOf(plan)}, slot ${plan.slots[s]}` : titleOf(plan);
}

function describe(map: HeatMap, slot: string): string {
  const forecast = map.wholes.filter((whole) => whole === "forecast").length;
  const [full, idle] = [0, 1].map((share) =>
    map.wholes.filter((_, t) => map.rows.every(({ shares }) => shares[t] === share)).length
  );
  const reused = idle! - forecast; // of a forecast step no module runs either
  return `Slot ${slot}: ${reused} steps are reused, ${full} run every module, ` +
    `${map.wholes.length - idle! - full!} reuse some modules` +
    `${forecast === 0 ? "" : `, ${forecast} are forecast`}.`;
}

function text(x: number, y: number, words: string, anchor: "start" | "middle" | "end"): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
