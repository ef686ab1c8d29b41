/**
 * The plan as a heat-map that follows a run: steps from left to right, modules from top to bottom.
 */

import { byId } from "./dom.ts";
import type { PlanShape } from "./plan_shape.ts";

const SVG = "http://www.w3.org/2000/svg";
/** Between rows, of a cell; between columns it is as wide as with so many steps. */
const GAP = 0.14;
const GAP_STEPS = 50;

/** The map of one plan, or of full computation. */
export class HeatMapView {
  readonly #svg = byId("map", SVGSVGElement);
  #steps = 0;
  #ahead: SVGElement | undefined;
  #now: SVGElement | undefined;

  /** Shows a shape, which is said in words. */
  show(shape: PlanShape, words: string): void {
    const { steps, rows, computed } = shape;
    this.#steps = steps;
    this.#svg.setAttribute("viewBox", `0 0 ${steps} ${rows}`);
    const isComputed = new Set(computed.map(([x, y]) => y * steps + x));
    const all = Array.from({ length: steps * rows }, (_, cell) => cell);
    const pathOf = (isRun: boolean): string =>
      all.filter((cell) => isComputed.has(cell) === isRun).map((cell) => cellPath(cell, steps))
        .join("");
    this.#ahead = make("rect", { class: "ahead", y: "0", height: `${rows}` });
    this.#now = make("rect", { class: "now", y: "0", width: "1", height: `${rows}` });
    this.#svg.replaceChildren(
      make("path", { class: "reuse", d: pathOf(false) }),
      make("path", { class: "run", d: pathOf(true) }),
      this.#ahead,
      this.#now,
    );
    this.mark(undefined);
    this.#svg.setAttribute("aria-label", `Plan: ${words}`);
  }

  /** Marks how many steps of a run are done; `undefined` when there is none. */
  mark(done: number | undefined): void {
    const from = Math.min(done ?? this.#steps, this.#steps); // it may still be of the run before
    this.#ahead?.setAttribute("x", `${from}`);
    this.#ahead?.setAttribute("width", `${this.#steps - from}`);
    this.#now?.setAttribute("x", `${from}`);
    this.#now?.classList.toggle("on", from < this.#steps);
  }
}

/** A cell, counted row by row; what is between cells has no colour of theirs. */
function cellPath(cell: number, steps: number): string {
  const [x, y] = [cell % steps, Math.floor(cell / steps)];
  const gap = GAP * Math.min(1, steps / GAP_STEPS);
  const [width, height] = [1 - gap, 1 - GAP];
  return `M${x + gap / 2} ${y + GAP / 2}h${width}v${height}h${-width}z`;
}

function make(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement; // of SVG's namespace
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
