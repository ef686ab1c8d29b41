/**
 * The plan as a heat-map that follows a run: steps from left to right, modules from top to bottom.
 *
 * @module
 */

import { heatMap } from "../../plan/heat_map.ts";
import type { Plan } from "../../plan/plan.ts";
import { byId, setText } from "./dom.ts";
import { formatCount } from "./format.ts";

const SVG = "http://www.w3.org/2000/svg";
/** With more modules than this, the modules of one kind share a row. */
const MOST_ROWS = 64;
const GAP = 0.14; // of a cell

/** What is drawn: which share of each module is computed at each step. */
interface Cells {
  readonly steps: number;
  readonly rows: number;
  /** Cells that are computed, as `[step, row]`. */
  readonly computed: readonly (readonly [number, number])[];
  /** Steps with nothing computed. */
  readonly idle: number;
}

/** The map of one plan, or of full computation. */
export class HeatMapView {
  readonly #svg = byId("map", SVGSVGElement);
  readonly #caption = byId("map-caption", HTMLElement);
  #steps = 0;
  #ahead: SVGElement | undefined;
  #now: SVGElement | undefined;

  /** Shows a plan. */
  showPlan(plan: Plan): void {
    const { rows } = heatMap(plan, { slot: 0, mostRows: MOST_ROWS });
    const steps = plan.rows.length;
    const computed = rows.flatMap(({ shares }, row) =>
      shares.flatMap((share, step) => share < 1 ? [[step, row] as const] : [])
    );
    const idle =
      plan.rows.filter((_, step) => rows.every(({ shares }) => shares[step] === 1)).length;
    this.#draw({ steps, rows: rows.length, computed, idle });
  }

  /** Shows full computation. */
  showFull(steps: number): void {
    const rows = this.#svg.viewBox.baseVal.height || 24;
    const computed = Array.from(
      { length: steps },
      (_, step) => Array.from({ length: rows }, (_, row) => [step, row] as const),
    ).flat();
    this.#draw({ steps, rows, computed, idle: 0 });
  }

  /** Marks how many steps are behind a run; `undefined` when there is none. */
  mark(done: number | undefined): void {
    const running = done !== undefined && done < this.#steps;
    const from = done ?? this.#steps;
    this.#ahead?.setAttribute("x", `${from}`);
    this.#ahead?.setAttribute("width", `${this.#steps - from}`);
    this.#now?.setAttribute("x", `${from}`);
    this.#now?.classList.toggle("on", running);
  }

  #draw({ steps, rows, computed, idle }: Cells): void {
    this.#steps = steps;
    this.#svg.setAttribute("viewBox", `0 0 ${steps} ${rows}`);
    const path = computed.map(([x, y]) =>
      `M${x + GAP / 2} ${y + GAP / 2}h${1 - GAP}v${1 - GAP}h${GAP - 1}z`
    ).join("");
    this.#ahead = shape("rect", { class: "ahead", y: "0", height: `${rows}` });
    this.#now = shape("rect", { class: "now", y: "0", width: "1", height: `${rows}` });
    this.#svg.replaceChildren(
      shape("rect", { class: "reuse", width: `${steps}`, height: `${rows}` }),
      shape("path", { class: "run", d: path }),
      this.#ahead,
      this.#now,
    );
    this.mark(undefined);
    const words = idle === 0
      ? `All ${formatCount(steps, "step")} are computed in full.`
      : `${steps - idle} of ${
        formatCount(steps, "step")
      } are computed, ${idle} reuse what is there.`;
    this.#svg.setAttribute("aria-label", `Plan: ${words}`);
    setText(this.#caption, words);
  }
}

function shape(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement; // of SVG's namespace
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
