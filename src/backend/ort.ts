/**
 * A backend over any build of ONNX Runtime for JavaScript: onnxruntime-web or onnxruntime-node.
 *
 * @module
 */

import type { InferenceSession, Tensor as OrtTensor } from "onnxruntime-common";
import { BackendError } from "../errors.ts";
import type { Dim } from "../onnx/graph.ts";
import type { OnnxModel } from "../onnx/model_proto.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";
import type { Backend, BackendName, HostNumbers, LoadOptions, Session, Value } from "./backend.ts";
import { elementBytes } from "./element_type.ts";

/** The part of an ONNX Runtime module that we call. */
export interface OrtModule {
  /** Session factory. */
  readonly InferenceSession: typeof InferenceSession;
  /** Tensor constructor. */
  readonly Tensor: typeof OrtTensor;
}

/** What differs between providers. */
export interface OrtProvider {
  /** Which provider. */
  readonly name: BackendName;
  /** For people. */
  readonly description: string;
  /** See {@link Backend.weights}. */
  readonly weights: Backend["weights"];
  /** Options of every session; an explicit execution provider is always among them. */
  readonly sessionOptions: InferenceSession.SessionOptions;
  /** See {@link Backend.halfWeights}. */
  readonly halfWeights?: boolean;
  /** Largest sum of weight bytes that sessions may hold, where there is a limit. */
  readonly weightLimit?: number;
  /** See {@link Backend.memoryLimit}. */
  readonly memoryLimit?: number;
  /** Whether a session that failed to run would give the inputs of that run to the next one. */
  readonly failureSpoilsSession?: boolean;
  /** Makes a device tensor of host numbers. */
  upload(numbers: HostNumbers): OrtTensor;
  /** Runs create and run calls; WebGPU needs them one after another. */
  schedule<T>(task: () => Promise<T>): Promise<T>;
}

/** Makes a backend of a provider. */
export function ortBackend(ort: OrtModule, provider: OrtProvider): Backend {
  return new OrtBackend(ort, provider);
}

class OrtBackend implements Backend {
  readonly name: BackendName;
  readonly description: string;
  readonly weights: Backend["weights"];
  readonly halfWeights: boolean;
  readonly weightLimit: number | undefined;
  readonly memoryLimit: number | undefined;
  readonly #values = new Set<OrtValue>();
  readonly #sessions = new Set<OrtSession>();
  readonly #loading = new Set<Promise<InferenceSession>>();
  #disposed = false;

  constructor(readonly ort: OrtModule, readonly provider: OrtProvider) {
    this.name = provider.name;
    this.description = provider.description;
    this.weights = provider.weights;
    this.halfWeights = provider.halfWeights === true;
    this.weightLimit = provider.weightLimit;
    this.memoryLimit = provider.memoryLimit;
  }

  get live(): { values: number; sessions: number } {
    return { values: this.#values.size, sessions: this.#sessions.size };
  }

  async load(model: OnnxModel, options: LoadOptions = {}): Promise<Session> {
    this.#refuseAfterDispose(`load ${model.name}`);
    this.#refuseOverLimit(model);
    const native = await whilePending(
      this.#loading,
      this.provider.schedule(() => this.#create(model, options)),
    );
    const session: OrtSession = new OrtSession(this, model, native, () => {
      this.#sessions.delete(session);
    });
    this.#sessions.add(session);
    if (this.#disposed) await session.dispose();
    this.#refuseAfterDispose(`load ${model.name}`);
    return session;
  }

  upload(numbers: HostNumbers): Value {
    this.#refuseAfterDispose("upload a tensor");
    return this.adopt(this.provider.upload(numbers));
  }

  async download(value: Value): Promise<Tensor> {
    this.#refuseAfterDispose("download a value");
    const native = this.native(value, "download a value");
    const numbers = await this.provider.schedule(() => native.getData());
    return { dims: native.dims, data: float32(numbers).slice() };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.allSettled(this.#loading);
    for (const session of [...this.#sessions]) await session.dispose();
    for (const value of [...this.#values]) value.dispose(); // no run needs them any more
  }

  /** Takes a tensor of the runtime into our count. */
  adopt(native: OrtTensor): OrtValue {
    const value: OrtValue = new OrtValue(native, () => {
      this.#values.delete(value);
    });
    this.#values.add(value);
    return value;
  }

  /** The runtime's tensor behind a value of this backend that is alive. */
  native(value: Value, verb: string): OrtTensor {
    if (value instanceof OrtValue && this.#values.has(value)) return value.native;
    throw new BackendError(
      `Cannot ${verb}: it must be alive and of this backend (${this.name}): ` +
        `current value is disposed or foreign, [${value.dims}]`,
    );
  }

  async #create(model: OnnxModel, { memory }: LoadOptions): Promise<InferenceSession> {
    try {
      return await this.ort.InferenceSession.create(model.bytes, {
        ...this.provider.sessionOptions,
        ...(memory === "freed" && { enableCpuMemArena: false }),
        ...(model.externalData.length > 0 ? { externalData: model.externalData } : {}),
      });
    } catch (cause) {
      throw new BackendError(`Cannot load ${model.name} on ${this.description}: ${reason(cause)}`, {
        cause,
      });
    }
  }

  #refuseAfterDispose(verb: string): void {
    if (!this.#disposed) return;
    throw new BackendError(`Cannot ${verb}: the ${this.name} backend must not be disposed`);
  }

  #refuseOverLimit(model: OnnxModel): void {
    const { weightLimit } = this.provider;
    if (weightLimit === undefined) return;
    const held = [...this.#sessions].reduce((sum, session) => sum + session.weightBytes, 0);
    if (held + byteLength(model) <= weightLimit) return;
    throw new BackendError(
      `Cannot load ${model.name} on ${this.description}: weights must fit in ` +
        `${megabytes(weightLimit)}: current value is ${megabytes(held + byteLength(model))}`,
    );
  }
}

class OrtValue implements Value {
  readonly dims: readonly number[];
  readonly byteLength: number;
  #disposed = false;

  constructor(readonly native: OrtTensor, readonly onDispose: () => void) {
    this.dims = native.dims;
    this.byteLength = elementCount(native.dims) * elementBytes(native.type);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.native.dispose();
    this.onDispose();
  }
}

class OrtSession implements Session {
  readonly name: string;
  readonly weightBytes: number;
  readonly #inputs: ReadonlyMap<string, readonly Dim[]>;
  readonly #outputs: ReadonlySet<string>;
  readonly #running = new Set<Promise<Record<string, Value>>>();
  #disposed = false;
  #spoilt = false;

  constructor(
    readonly backend: OrtBackend,
    model: OnnxModel,
    readonly native: InferenceSession,
    readonly onDispose: () => void,
  ) {
    this.name = model.name;
    this.weightBytes = byteLength(model);
    this.#inputs = new Map(
      native.inputMetadata.map((input) => [input.name, input.isTensor ? input.shape : []]),
    );
    this.#outputs = new Set(native.outputNames);
  }

  async run(
    inputs: Readonly<Record<string, Value>>,
    outputs: readonly string[],
  ): Promise<Record<string, Value>> {
    const feeds = this.#feeds(inputs);
    this.#refuseUnknown(outputs);
    return await whilePending(this.#running, this.#runNow(feeds, outputs));
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.onDispose();
    await Promise.allSettled(this.#running); // a session that is freed while it runs hangs on wasm
    await this.backend.provider.schedule(() => this.native.release());
  }

  async #runNow(
    feeds: Record<string, OrtTensor>,
    outputs: readonly string[],
  ): Promise<Record<string, Value>> {
    try {
      const results = await this.backend.provider.schedule(() => this.native.run(feeds, outputs));
      return Object.fromEntries(outputs.map((name) => [name, this.backend.adopt(results[name]!)]));
    } catch (cause) {
      this.#spoilt = this.backend.provider.failureSpoilsSession === true;
      throw new BackendError(`Cannot run ${this.name}: ${reason(cause)}`, { cause });
    }
  }

  #feeds(inputs: Readonly<Record<string, Value>>): Record<string, OrtTensor> {
    if (this.#disposed) throw new BackendError(`Cannot run ${this.name}: it must not be disposed`);
    if (this.#spoilt) {
      throw new BackendError(`Cannot run ${this.name}: it must be loaded anew after a failed run`);
    }
    return Object.fromEntries(
      [...this.#inputs].map(([name, dims]) => [name, this.#feed(name, dims, inputs)]),
    );
  }

  #feed(
    name: string,
    dims: readonly Dim[],
    inputs: Readonly<Record<string, Value>>,
  ): OrtTensor {
    const value = inputs[name];
    if (value !== undefined && fits(value.dims, dims)) {
      return this.backend.native(value, `run ${this.name} with input ${name}`);
    }
    throw new BackendError(
      `Cannot run ${this.name}: input ${name} must be [${dims}]: ` +
        `current value is ${value === undefined ? "missing" : `[${value.dims}]`}`,
    );
  }

  #refuseUnknown(outputs: readonly string[]): void {
    const unknown = outputs.find((name) => !this.#outputs.has(name));
    if (unknown === undefined && outputs.length > 0) return;
    throw new BackendError(
      `Cannot run ${this.name}: outputs must be among ${[...this.#outputs].join(", ")}: ` +
        `current value is ${unknown ?? "none"}`,
    );
  }
}

/** Whether a shape is one that the graph declares; names stand for any size. */
function fits(dims: readonly number[], declared: readonly Dim[]): boolean {
  return dims.length === declared.length &&
    declared.every((size, i) => typeof size === "string" || size === dims[i]);
}

/** Waits for a task, which is in the set meanwhile. */
async function whilePending<T>(pending: Set<Promise<T>>, task: Promise<T>): Promise<T> {
  pending.add(task);
  try {
    return await task;
  } finally {
    pending.delete(task);
  }
}

function byteLength(model: OnnxModel): number {
  return model.externalData.reduce((sum, { data }) => sum + data.length, model.bytes.length);
}

function float32(numbers: OrtTensor["data"]): Float32Array {
  if (numbers instanceof Float32Array) return numbers;
  throw new BackendError("Cannot download a value: its elements must be float32");
}

/** First line of what the runtime said: the rest is a stack of file names of its build. */
export function reason(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split("\n")[0] ?? message;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
