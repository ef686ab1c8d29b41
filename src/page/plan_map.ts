/**
 * The map of a plan beside the picture: its shape is fetched once, and shown when it is there. It is an ornament,
 * which fails in silence.
 */

import type { PlanFile } from "../plan/plan_schema.ts";
import type { Api } from "./api.ts";
import type { PlanView } from "./contract.ts";
import { byId, setText } from "./dom.ts";
import { HeatMapView } from "./heat_map_view.ts";
import { fullShape, type PlanShape, planShape, shapeWords } from "./plan_shape.ts";

/** What is shown. */
export interface MapOptions {
  /** Steps of the run. */
  readonly steps: number;
  /** Steps of the full run that it stands for. */
  readonly inFull: number;
  /** Whether it is of a picture that is still to be drawn, beside one that is drawn. */
  readonly isNext: boolean;
}

/** The map and its caption. */
export class PlanMap {
  readonly #view = new HeatMapView();
  readonly #shapes = new Map<string, Promise<PlanShape>>();
  /** Lines of the map, as the last plan had them. */
  #rows = 24;
  #steps = 0;
  #wanted: unknown;
  #done: readonly [done: number, of: number] | undefined;

  constructor(readonly api: Api) {}

  /** Shows a plan, or full computation. */
  async show(plan: PlanView | undefined, { steps, inFull, isNext }: MapOptions): Promise<void> {
    const wanted = this.#wanted = { plan };
    const shape = await this.#shapeOf(plan, steps).catch(() => undefined);
    if (shape === undefined) this.#shapes.delete(plan?.id ?? ""); // the next time may be better
    if (shape === undefined || this.#wanted !== wanted) return;
    this.#rows = shape.rows;
    this.#steps = shape.steps;
    const said = shapeWords(shape, inFull);
    const words = isNext ? `The next picture: ${said[0]!.toLowerCase()}${said.slice(1)}` : said;
    this.#view.show(shape, words);
    setText(byId("map-caption", HTMLElement), words);
    this.#mark();
  }

  /** Marks how many steps of a run are done, `of` so many; of an edit the last steps run. */
  mark(done: number | undefined, of: number): void {
    this.#done = done === undefined ? undefined : [done, of];
    this.#mark();
  }

  #mark(): void {
    const [done, of] = this.#done ?? [];
    const leftOut = of === undefined || of === 0 ? 0 : Math.max(0, this.#steps - of);
    this.#view.mark(done === undefined ? undefined : done + leftOut);
  }

  async #shapeOf(plan: PlanView | undefined, steps: number): Promise<PlanShape> {
    if (plan === undefined) return fullShape(steps, this.#rows);
    const path = `/v1/plans/${encodeURIComponent(plan.id)}`;
    const loading = this.#shapes.get(plan.id) ?? this.api.json<PlanFile>(path).then(planShape);
    this.#shapes.set(plan.id, loading);
    return await loading;
  }
}
