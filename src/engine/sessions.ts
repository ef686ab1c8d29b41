/**
 * The sessions of graphs that run more than once: loaded when first used, with weights bound as the backend needs.
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, HostNumbers, LoadOptions, Session, Value } from "../backend/backend.ts";
import { BackendError } from "../errors.ts";
import type { Graph, Node } from "../onnx/graph.ts";
import { encodeModel, type WeightNumbers } from "../onnx/model_proto.ts";
import {
  type GraphRecipe,
  loadReading,
  type LoadTask,
  loweredLayers,
  whileLoaded,
} from "./load_graph.ts";
import type { RoundedLayers } from "./precision/rounded_layers.ts";
import type { Values } from "./device_values.ts";

/** How weights are held and sessions are loaded. */
export interface SessionsOptions extends LoadOptions {
  /** Which weights are no float32; absent = none. */
  readonly rounded?: RoundedLayers | undefined;
}

/** Sessions by key; disposes of what it loaded. */
export class Sessions {
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #shared = new Map<string, Promise<Value>>();
  #disposed = false;

  /** Reads and loads nothing yet. */
  constructor(
    readonly backend: Backend,
    readonly weights: Weights,
    readonly options: SessionsOptions = {},
  ) {}

  /**
   * The session of a graph; loaded once, and again if loading failed or a failed run spoilt it. A signal stops it for all
   * callers that wait for the same session.
   *
   * @throws {BackendError} When it cannot be loaded, and after `dispose()`.
   */
  async get(given: GraphRecipe, signal?: AbortSignal): Promise<Session> {
    const loading = this.#sessions.get(given.key) ?? this.#begin(given, signal);
    const session = await loading;
    if (session.isSpoilt !== true) return session;
    this.#forget(given.key, loading);
    await session.dispose();
    return await this.get(given, signal);
  }

  /** Runs a graph. @throws {BackendError} When the run fails, and as {@link Sessions.get}. */
  async run(recipe: GraphRecipe, inputs: Values, outputs: readonly string[]): Promise<Values> {
    // Another run may replace the session at any moment, but waits for what has begun: so it begins as soon as it is there.
    const session = await (this.#sessions.get(recipe.key) ?? this.#begin(recipe));
    if (session.isSpoilt !== true) return await session.run(inputs, outputs);
    await this.get(recipe);
    return await this.run(recipe, inputs, outputs);
  }

  /** Begins to load the session of a graph. */
  #begin({ key, replaces = [], ...recipe }: GraphRecipe, signal?: AbortSignal): Promise<Session> {
    if (this.#disposed) {
      return Promise.reject(new BackendError(`Cannot run ${key}: its sessions are disposed.`));
    }
    const replaced = replaces.flatMap((other) => this.#sessions.get(other) ?? []);
    for (const other of replaces) this.#sessions.delete(other);
    const freed = replaced.map((loading) => loading.then((session) => session.dispose()));
    const loading = Promise.all(freed).then(() => this.#load(recipe, signal));
    this.#sessions.set(key, loading);
    loading.catch(() => this.#forget(key, loading));
    return loading;
  }

  /** Uploads the weights of a graph, for sessions that are made later. */
  async share({ build }: GraphRecipe, signal?: AbortSignal): Promise<void> {
    await this.#withWeights(build, signal);
  }

  /** Frees the session of a key, if there is one. */
  async drop(key: string): Promise<void> {
    const loading = this.#sessions.get(key);
    this.#sessions.delete(key);
    await (await loading?.catch(() => undefined))?.dispose();
  }

  /** Another session may have its key by now. */
  #forget(key: string, loading: Promise<Session>): void {
    if (this.#sessions.get(key) === loading) this.#sessions.delete(key);
  }

  /** Frees every session and every shared weight; nothing can be loaded afterwards. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await disposeSettled(this.#sessions); // first: one that loads may still share weights
    await disposeSettled(this.#shared);
  }

  async #load(
    { build, sizes }: Pick<GraphRecipe, "build" | "sizes">,
    signal: AbortSignal | undefined,
  ): Promise<Session> {
    const { rounded, ...options } = this.options;
    if (this.backend.weights === "initializers") {
      await rounded?.decide(loweredLayers(build, rounded.takes), signal);
      const read = (node: Node): Promise<WeightNumbers> => this.#read(node, signal);
      const graph = rounded?.build(build) ?? build();
      return await loadReading(this.backend, graph, { ...options, read });
    }
    const { graph, values } = await this.#withWeights(build, signal);
    const session = await this.backend.load(encodeModel(graph), { ...options, sizes });
    return {
      name: session.name,
      get isSpoilt(): boolean {
        return session.isSpoilt === true;
      },
      run: (inputs, outputs, options) => session.run({ ...values, ...inputs }, outputs, options),
      dispose: () => session.dispose(),
    };
  }

  /** A graph and its weights as values. */
  async #withWeights(
    build: GraphRecipe["build"],
    signal: AbortSignal | undefined,
  ): Promise<{ readonly graph: Graph; readonly values: Values }> {
    const { rounded } = this.options;
    if (rounded !== undefined) {
      await this.#shareRounded(rounded, loweredLayers(build, rounded.takes), signal);
    }
    const graph = rounded?.build(build) ?? build();
    const values: Record<string, Value> = {};
    for (const node of graph.parameters) values[node.name] = await this.#share(node, signal);
    return { graph, values };
  }

  /** Uploads every rounded layer as soon as it is made: a graph may be the whole model. */
  async #shareRounded(
    rounded: RoundedLayers,
    layers: Iterable<string>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const name of layers) {
      await rounded.decide([name], signal);
      for (const node of rounded.held) await this.#share(node, signal);
    }
  }

  async #read(node: Node, signal: AbortSignal | undefined): Promise<WeightNumbers> {
    return await this.options.rounded?.read(node, signal) ??
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

/** Runs one graph. */
export type RunGraph = (inputs: Values, outputs: readonly string[]) => Promise<Values>;

/** Lets a graph run for as long as a task takes: in a session that stays among these, or without them in one that is gone. */
export async function whileRunnable<T>(
  recipe: GraphRecipe,
  { sessions, ...task }: LoadTask & { readonly sessions?: Sessions | undefined },
  use: (run: RunGraph) => Promise<T>,
): Promise<T> {
  if (sessions !== undefined) {
    return await use((inputs, outputs) => sessions.run(recipe, inputs, outputs));
  }
  return await whileLoaded(
    recipe.build(),
    task,
    (session) => use((inputs, outputs) => session.run(inputs, outputs)),
  );
}

async function disposeSettled<T extends { dispose(): void | Promise<void> }>(
  held: Map<string, Promise<T>>,
): Promise<void> {
  const settled = await Promise.allSettled(held.values());
  held.clear();
  for (const one of settled) if (one.status === "fulfilled") await one.value.dispose();
}

function uploadable(name: string, data: WeightNumbers): HostNumbers["data"] {
  if (!(data instanceof Int8Array)) return data;
  throw new BackendError(`Cannot upload ${name}: no kernel reads int8 weights that are inputs.`);
}
