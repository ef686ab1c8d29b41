/**
 * The plan as a heat-map that follows a run: steps from left to right, modules from top to bottom.
 */

import { byId, setText } from "./dom.ts";
import { type PlanShape, shapeWords } from "./plan_shape.ts";

const SVG = "http://www.w3.org/2000/svg";
const GAP = 0.14; // of a cell

/** The map of one plan, or of full computation. */
export class HeatMapView {
  readonly #svg = byId("map", SVGSVGElement);
  #steps = 0;
  #ahead: SVGElement | undefined;
  #now: SVGElement | undefined;

  show(shape: PlanShape): void {
    const { steps, rows, computed } = shape;
    this.#steps = steps;
    this.#svg.setAttribute("viewBox", `0 0 ${steps} ${rows}`);
    const path = computed.map(([x, y]) =>
      `M${x + GAP / 2} ${y + GAP / 2}h${1 - GAP}v${1 - GAP}h${GAP - 1}z`
    ).join("");
    this.#ahead = make("rect", { class: "ahead", y: "0", height: `${rows}` });
    this.#now = make("rect", { class: "now", y: "0", width: "1", height: `${rows}` });
    this.#svg.replaceChildren(
      make("rect", { class: "reuse", width: `${steps}`, height: `${rows}` }),
      make("path", { class: "run", d: path }),
      this.#ahead,
      this.#now,
    );
    this.mark(undefined);
    const words = shapeWords(shape);
    this.#svg.setAttribute("aria-label", `Plan: ${words}`);
    setText(byId("map-caption", HTMLElement), words);
  }

  /** Marks how many steps of a run are done; `undefined` when there is none. */
  mark(done: number | undefined): void {
    const from = done ?? this.#steps;
    this.#ahead?.setAttribute("x", `${from}`);
    this.#ahead?.setAttribute("width", `${this.#steps - from}`);
    this.#now?.setAttribute("x", `${from}`);
    this.#now?.classList.toggle("on", from < this.#steps);
  }
}

function make(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement; // of SVG's namespace
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
