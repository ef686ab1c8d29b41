/**
 * The sessions of a model's segments: loaded when first used, weights bound as the backend wants them.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, HostNumbers, LoadOptions, Session, Value } from "../backend/backend.ts";
import { BackendError } from "../errors.ts";
import type { Transformer } from "../model/module_graph.ts";
import type { GraphBuilder, Node } from "../onnx/graph.ts";
import type { LinearLowering } from "../onnx/linear.ts";
import { encodeModel, type OnnxModel, type WeightNumbers } from "../onnx/model_proto.ts";
import { discard } from "../tensor/tensor.ts";
import type { RoundedLayers } from "./precision.ts";
import {
  buildCombination,
  buildSegment,
  loweredLayers,
  type Segment,
  segmentKey,
} from "./segment.ts";

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
  return await encodeReading(graph, async ({ name }) => (await weights.read(name, signal)).data);
}

/** Encodes a graph with what is read for its parameters as initializers. */
async function encodeReading(
  graph: GraphBuilder,
  read: (node: Node) => Promise<WeightNumbers>,
): Promise<OnnxModel> {
  const numbers = new Map<string, WeightNumbers>();
  for (const node of graph.parameters) numbers.set(node.name, await read(node));
  return encodeModel(graph, { weights: numbers });
}

/** Makes a graph, its linear layers in some precision. */
type Build = (lowering?: LinearLowering) => GraphBuilder;

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
    /** Which of them are integers; absent = none. */
    readonly rounded?: RoundedLayers,
  ) {}

  /** The session of a segment; loaded once, and again if loading failed. */
  get(segment: Segment, signal?: AbortSignal): Promise<BoundSession> {
    // A session that owns its weights serves every step: it offers all features, runs ask for some.
    if (this.backend.weights === "inputs") {
      const build: Build = (lowering) => buildSegment(this.transformer, segment, lowering);
      return this.#once(segmentKey(segment), build, { signal });
    }
    const owned = offeringAll(segment);
    const [key, other] = [segmentKey(owned), segmentKey(withOtherProbe(owned))];
    const replaced = other === key ? undefined : this.#take(other);
    const build: Build = (lowering) => buildSegment(this.transformer, owned, lowering);
    return this.#once(key, build, { signal, replaced });
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
    build: Build,
    { signal, replaced }: {
      readonly signal: AbortSignal | undefined;
      readonly replaced?: Promise<BoundSession> | undefined;
    },
  ): Promise<BoundSession> {
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const freed = replaced?.then((session) => session.dispose()) ?? Promise.resolve();
    const loading = freed.then(() => this.#load(build, signal)).catch((error) => {
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

  async #load(build: Build, signal: AbortSignal | undefined): Promise<BoundSession> {
    const layers = loweredLayers(build);
    if (this.backend.weights === "inputs") await this.#shareRounded(layers, signal);
    else await this.rounded?.decide(layers, signal);
    const graph = build(this.rounded?.lowering);
    if (this.backend.weights === "initializers") {
      const read = (node: Node): Promise<WeightNumbers> => this.#read(node, signal);
      return await loadOwned(this.backend, await encodeReading(graph, read));
    }
    const values: Record<string, Value> = {};
    for (const node of graph.parameters) values[node.name] = await this.#share(node, signal);
    const session = await this.backend.load(encodeModel(graph));
    return {
      run: (inputs, outputs) => session.run({ ...values, ...inputs }, outputs),
      dispose: () => session.dispose(),
    };
  }

  /** Uploads every rounded layer as soon as it is made: a graph may be the whole model. */
  async #shareRounded(layers: Iterable<string>, signal: AbortSignal | undefined): Promise<void> {
    for (const name of layers) {
      await this.rounded?.decide([name], signal);
      for (const node of this.rounded?.held ?? []) await this.#share(node, signal);
    }
  }

  async #read(node: Node, signal: AbortSignal | undefined): Promise<WeightNumbers> {
    return await this.rounded?.read(node, signal) ??
      (await this.weights.read(node.name, signal)).data;
  }

  /** Uploads a weight once, in the shape that graphs give it; disposed of with this object. */
  #share(node: Node, signal: AbortSignal | undefined): Promise<Value> {
    const { name, dims } = node;
    const known = this.#shared.get(name);
    if (known !== undefined) return known;
    const sharing = this.#read(node, signal)
      .then((data) => this.backend.upload({ dims: dims.map(Number), data: uploadable(name, data) }))
      .catch((error) => {
        this.#shared.delete(name);
        throw error;
      });
    this.#shared.set(name, sharing);
    return sharing;
  }
}

function uploadable(name: string, data: WeightNumbers): HostNumbers["data"] {
  if (!(data instanceof Int8Array)) return data;
  throw new BackendError(`Cannot upload ${name}: it must not be int8: no kernel reads it there`);
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
