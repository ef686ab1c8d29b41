/**
 * The sessions of a model's segments: loaded when first used, weights bound as the backend wants them.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, LoadOptions, Session, Value } from "../backend/backend.ts";
import type { Transformer } from "../model/module_graph.ts";
import type { GraphBuilder, Node } from "../onnx/graph.ts";
import { encodeModel, type OnnxModel } from "../onnx/model_proto.ts";
import { discard } from "../tensor/tensor.ts";
import { buildCombination, buildSegment, type Segment, segmentKey } from "./segment.ts";

/** A graph with its weights, ready to run. */
export interface BoundSession {
  /** As {@link Session.run}; weights are given by whoever made this. */
  run: Session["run"];
  /** As {@link Session.dispose}. */
  dispose: Session["dispose"];
}

/** Reads the weights of a graph and loads it with them as initializers. */
export async function loadWithWeights(
  backend: Backend,
  graph: GraphBuilder,
  weights: Weights,
  signal?: AbortSignal,
): Promise<Session> {
  return await loadOwned(backend, await encodeWithWeights(graph, weights, signal));
}

/** Loads a graph whose weights are needed nowhere else: their memory is given back at once. */
export async function loadOwned(
  backend: Backend,
  model: OnnxModel,
  options?: LoadOptions,
): Promise<Session> {
  const session = await backend.load(model, options); // has its own copy now
  for (const { data } of model.externalData) discard(data);
  return session;
}

/** Reads the weights of a graph and encodes it with them as initializers. */
export async function encodeWithWeights(
  graph: GraphBuilder,
  weights: Weights,
  signal?: AbortSignal,
): Promise<OnnxModel> {
  const numbers = new Map<string, Float32Array>();
  for (const { name } of graph.parameters) {
    numbers.set(name, (await weights.read(name, signal)).data);
  }
  return encodeModel(graph, { weights: numbers });
}

/** Sessions by segment; disposes of what it loaded. */
export class SegmentSessions {
  readonly #sessions = new Map<string, Promise<BoundSession>>();
  readonly #shared = new Map<string, Promise<Value>>();

  /** Nothing is read or loaded before it is asked for. */
  constructor(
    /** Where sessions run. */
    readonly backend: Backend,
    /** What they compute. */
    readonly transformer: Transformer,
    /** With which weights. */
    readonly weights: Weights,
  ) {}

  /** The session of a segment; loaded once, and again if loading failed. */
  get(segment: Segment, signal?: AbortSignal): Promise<BoundSession> {
    // A session that owns its weights serves every step: it offers all features, runs ask for some.
    if (this.backend.weights === "inputs") {
      const build = (): GraphBuilder => buildSegment(this.transformer, segment);
      return this.#once(segmentKey(segment), build, { signal });
    }
    const owned = offeringAll(segment);
    const [key, other] = [segmentKey(owned), segmentKey(withOtherProbe(owned))];
    const replaced = other === key ? undefined : this.#take(other);
    return this.#once(key, () => buildSegment(this.transformer, owned), { signal, replaced });
  }

  /** A session that another one takes the place of: a module's weights must not be held twice. */
  #take(key: string): Promise<BoundSession> | undefined {
    const session = this.#sessions.get(key);
    this.#sessions.delete(key);
    return session;
  }

  /** The session that adds or subtracts streams. */
  combination(operator: "add" | "subtract", signal?: AbortSignal): Promise<BoundSession> {
    return this.#once(operator, () => buildCombination(this.transformer, operator), { signal });
  }

  #once(
    key: string,
    build: () => GraphBuilder,
    { signal, replaced }: {
      readonly signal: AbortSignal | undefined;
      readonly replaced?: Promise<BoundSession> | undefined;
    },
  ): Promise<BoundSession> {
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const freed = replaced?.then((session) => session.dispose()) ?? Promise.resolve();
    const loading = freed.then(() => this.#load(build(), signal)).catch((error) => {
      this.#sessions.delete(key);
      throw error;
    });
    this.#sessions.set(key, loading);
    return loading;
  }

  /** Frees every session and every shared weight. */
  async dispose(): Promise<void> {
    const sessions = await Promise.allSettled(this.#sessions.values());
    const values = await Promise.allSettled(this.#shared.values());
    this.#sessions.clear();
    this.#shared.clear();
    for (const session of sessions) {
      if (session.status === "fulfilled") await session.value.dispose();
    }
    for (const value of values) if (value.status === "fulfilled") value.value.dispose();
  }

  async #load(graph: GraphBuilder, signal: AbortSignal | undefined): Promise<BoundSession> {
    if (this.backend.weights === "initializers") {
      return await loadWithWeights(this.backend, graph, this.weights, signal);
    }
    const values: Record<string, Value> = {};
    for (const node of graph.parameters) values[node.name] = await this.#share(node, signal);
    const session = await this.backend.load(encodeModel(graph));
    return {
      run: (inputs, outputs) => session.run({ ...values, ...inputs }, outputs),
      dispose: () => session.dispose(),
    };
  }

  /** Uploads a weight once, in the shape that graphs give it; disposed of with this object. */
  #share({ name, dims }: Node, signal: AbortSignal | undefined): Promise<Value> {
    const known = this.#shared.get(name);
    if (known !== undefined) return known;
    const sharing = this.weights.read(name, signal)
      .then(({ data }) => this.backend.upload({ dims: dims.map(Number), data }))
      .catch((error) => {
        this.#shared.delete(name);
        throw error;
      });
    this.#shared.set(name, sharing);
    return sharing;
  }
}

/** The same modules, probed if they were not and the other way round. */
function withOtherProbe(segment: Segment): Segment {
  return segment.map((part) =>
    part.kind === "module" && part.action === "run" ? { ...part, probe: !part.probe } : part
  );
}

function offeringAll(segment: Segment): Segment {
  return segment.map((part) =>
    part.kind === "module" && part.action === "run" ? { ...part, store: true } : part
  );
}
