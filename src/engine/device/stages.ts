/**
 * The stages of an engine: a few are kept, the one that was not used for longest is freed.
 */

import type { GpuAccess } from "../../backend/backend.ts";
import type { Sessions } from "../sessions.ts";
import { Stage, type StageShape } from "./stage.ts";
import { keptModules } from "./feature_places.ts";
import { loadedStates, stepKey } from "./step_graph.ts";

/** Stages that are kept. */
export const MOST_STAGES = 8;

/** Stages by shape; one run at a time uses each. */
export class Stages {
  /** The one that was used last is the last. */
  readonly #kept = new Map<Stage, string>();
  readonly #busy = new Set<Stage>();
  #made = 0;

  constructor(readonly host: { readonly gpu: GpuAccess; readonly sessions: Sessions }) {}

  /** A stage of this shape that nobody uses, until it is given back. */
  async take(shape: StageShape): Promise<Stage> {
    const key = keyOf(shape);
    const known = [...this.#kept].findLast(([stage, other]) =>
      other === key && !this.#busy.has(stage)
    );
    const stage = known?.[0] ?? new Stage(`stage ${this.#made++}`, shape, this.host);
    this.#kept.delete(stage);
    this.#kept.set(stage, key);
    this.#busy.add(stage);
    if (this.#kept.size > MOST_STAGES) await this.#freeOldest();
    return stage;
  }

  giveBack(stage: Stage): void {
    this.#busy.delete(stage);
  }

  /** Forgets a stage, such as one that failed, and frees what it holds. */
  async drop(stage: Stage): Promise<void> {
    this.#busy.delete(stage);
    if (!this.#kept.delete(stage)) return;
    await stage.dispose();
  }

  async dispose(): Promise<void> {
    for (const stage of [...this.#kept.keys()]) await this.drop(stage);
  }

  async #freeOldest(): Promise<void> {
    const oldest = [...this.#kept.keys()].find((stage) => !this.#busy.has(stage));
    if (oldest !== undefined) await this.drop(oldest);
  }
}

/** Equal for runs that can use the same buffers and kinds. */
function keyOf({ transformer, rows, sums, steps }: StageShape): string {
  const kept = [...keptModules(steps)].join();
  const kinds = new Set(steps.flatMap((step) => step.kind === "forecast" ? [] : stepKey(step)));
  const places = [rows, transformer.sizes, sums, kept, loadedStates(steps)];
  return JSON.stringify([...places, [...kinds].toSorted()]);
}
