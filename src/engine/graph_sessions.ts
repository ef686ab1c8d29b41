/**
 * The sessions of graphs that are known by their names: loaded when first used, with their weights.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, Session, Value } from "../backend/backend.ts";
import { BackendError } from "../errors.ts";
import type { GraphBuilder } from "../onnx/graph.ts";
import { encodeModel } from "../onnx/model_proto.ts";
import { type BoundSession, encodeWithWeights, loadOwned } from "./segment_sessions.ts";
import { disposeAll, type Values } from "./transfer.ts";

/** Sessions by graph; no two graphs share weights. Disposes of what it loaded. */
export class GraphSessions {
  readonly #sessions = new Map<GraphBuilder, Promise<BoundSession>>();
  #disposed = false;

  /** Nothing is read or loaded before it is asked for. */
  constructor(
    /** Where sessions run. */
    readonly backend: Backend,
    /** With which weights. */
    readonly weights: Weights,
  ) {}

  /**
   * Runs a graph, loading it first; one that failed is loaded anew the next time.
   *
   * @throws {BackendError} When a run fails, and after `dispose()`.
   */
  async run(graph: GraphBuilder, inputs: Values, outputs: readonly string[]): Promise<Values> {
    const loading = this.#get(graph);
    const session = await loading;
    try {
      return await session.run(inputs, outputs);
    } catch (error) {
      if (this.#sessions.get(graph) === loading) this.#sessions.delete(graph);
      await session.dispose(); // some providers keep what a failed run was given
      throw error;
    }
  }

  /** Frees every session and its weights; nothing is loaded any more. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const sessions = await Promise.allSettled(this.#sessions.values());
    this.#sessions.clear();
    for (const session of sessions) {
      if (session.status === "fulfilled") await session.value.dispose();
    }
  }

  /** Loading is no caller's to stop: another one may wait for the same session. */
  #get(graph: GraphBuilder): Promise<BoundSession> {
    const known = this.#sessions.get(graph);
    if (known !== undefined) return known;
    if (this.#disposed) {
      throw new BackendError(`Cannot run ${graph.name}: its sessions must not be disposed`);
    }
    const loading = this.#load(graph).catch((error) => {
      this.#sessions.delete(graph);
      throw error;
    });
    this.#sessions.set(graph, loading);
    return loading;
  }

  async #load(graph: GraphBuilder): Promise<BoundSession> {
    if (this.backend.weights === "inputs") return await this.#loadBesideWeights(graph);
    return await loadOwned(this.backend, await encodeWithWeights(graph, this.weights), LARGE);
  }

  async #loadBesideWeights(graph: GraphBuilder): Promise<BoundSession> {
    const values: Record<string, Value> = {};
    try {
      for (const { name } of graph.parameters) {
        values[name] = this.backend.upload(await this.weights.read(name));
      }
      const session = await this.backend.load(encodeModel(graph), LARGE);
      return bound(session, values);
    } catch (error) {
      disposeAll(values);
      throw error;
    }
  }
}

/** Each session would keep its largest pictures for itself, 3 GiB together for one of 256 × 256. */
const LARGE = { memory: "freed" } as const;

function bound(session: Session, weights: Values): BoundSession {
  return {
    run: (inputs, outputs) => session.run({ ...weights, ...inputs }, outputs),
    dispose: async () => {
      await session.dispose();
      disposeAll(weights);
    },
  };
}
