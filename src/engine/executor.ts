/**
 * Runs steps of a transformer on a backend.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, Value } from "../backend/backend.ts";
import type { Condition, Transformer } from "../model/module_graph.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { ConditioningTable } from "./conditioning.ts";
import { LATENT, modulated, MODULATION, type Part, PREDICTION, type Segment } from "./segment.ts";
import { SegmentSessions } from "./segment_sessions.ts";

/** What one step computes with. */
export interface StepInputs {
  /** Latents `(N, C, H, W)`. */
  readonly latent: Tensor;
  /** Time and label of each of the N rows. */
  readonly batch: readonly Condition[];
  /** Holds every condition of the batch. */
  readonly table: ConditioningTable;
  /** Stops before the next graph. */
  readonly signal?: AbortSignal | undefined;
}

/** A transformer on a backend; its sessions live until it is disposed. */
export class Executor {
  readonly #sessions: SegmentSessions;
  readonly #full: readonly Segment[];

  /** Loads nothing yet. */
  constructor(
    /** Where steps run. */
    readonly backend: Backend,
    /** What they compute. */
    readonly transformer: Transformer,
    /** With which weights. */
    weights: Weights,
  ) {
    this.#sessions = new SegmentSessions(backend, transformer, weights);
    this.#full = cut(fullStep(transformer), backend.weights);
  }

  /** How many graphs a full step runs. */
  get runsPerStep(): number {
    return this.#full.length;
  }

  /** Loads the sessions of a full step; `onLoaded` hears of each. */
  async load(options: {
    readonly signal?: AbortSignal | undefined;
    readonly onLoaded?: ((done: number, total: number) => void) | undefined;
  } = {}): Promise<void> {
    for (const [i, segment] of this.#full.entries()) {
      options.signal?.throwIfAborted();
      await this.#sessions.get(segment, options.signal);
      options.onLoaded?.(i + 1, this.#full.length);
    }
  }

  /** The model's prediction `(N, C', H, W)`, every module run. */
  async runFull(inputs: StepInputs): Promise<Tensor> {
    let streams: Record<string, Value> = { [LATENT]: this.backend.upload(inputs.latent) };
    try {
      for (const segment of this.#full) {
        inputs.signal?.throwIfAborted();
        const next = await this.#runSegment(segment, streams, inputs);
        disposeAll(streams);
        streams = next;
      }
      return await this.backend.download(streams[PREDICTION]!); // the last segment ends with the head
    } finally {
      disposeAll(streams);
    }
  }

  /** Frees sessions and weights. */
  dispose(): Promise<void> {
    return this.#sessions.dispose();
  }

  async #runSegment(
    segment: Segment,
    streams: Readonly<Record<string, Value>>,
    { batch, table, signal }: StepInputs,
  ): Promise<Record<string, Value>> {
    const session = await this.#sessions.get(segment, signal);
    const parts = modulated(this.transformer, segment);
    const modulation = parts.length === 0 ? {} : {
      [MODULATION]: this.backend.upload(table.gather(parts, batch)),
    };
    try {
      return await session.run(
        { ...asInputs(streams), ...modulation },
        outputsOf(segment, this.transformer),
      );
    } finally {
      disposeAll(modulation);
    }
  }
}

/** Every part of the transformer, run. */
export function fullStep(transformer: Transformer): Part[] {
  return [
    { kind: "embedding" },
    ...transformer.modules.map((_, index): Part => ({
      kind: "module",
      index,
      action: "run",
      store: false,
    })),
    { kind: "head" },
  ];
}

/** One part a segment where sessions own their weights, else all parts in one segment. */
function cut(parts: readonly Part[], weights: Backend["weights"]): Segment[] {
  const stretches = weights === "initializers" ? parts.map((part) => [part]) : [parts];
  return stretches.map((stretch) => ({ parts: stretch, keepsHidden: false }));
}

function asInputs(streams: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(streams).map(([name, value]) => [name === LATENT ? name : `${name}.in`, value]),
  );
}

function outputsOf(segment: Segment, transformer: Transformer): string[] {
  return segment.parts.at(-1)?.kind === "head"
    ? [PREDICTION]
    : transformer.streams.map(({ name }) => name);
}

function disposeAll(values: Readonly<Record<string, Value>>): void {
  for (const value of Object.values(values)) value.dispose();
}
