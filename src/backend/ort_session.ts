/**
 * A session of ONNX Runtime as one of ours.
 */

import type { InferenceSession, Tensor as OrtTensor } from "npm:onnxruntime-common@1.30.0";
import { BackendError } from "../errors.ts";
import type { Dim } from "../onnx/graph.ts";
import type { OnnxModel } from "../onnx/model_proto.ts";
import type { RunOptions, Session, Value } from "./backend.ts";
import { type OrtProvider, reason } from "./ort_provider.ts";

/** The backend of a session, as far as it needs it. */
export interface SessionHost {
  /** How runs are scheduled. */
  readonly provider: OrtProvider;
  /** Counts a tensor of the runtime as alive. */
  adopt(native: OrtTensor): Value;
  /** The runtime's tensor of a value that is alive and belongs to the backend. */
  native(value: Value, verb: string): OrtTensor;
}

/** What a session is made of. */
export interface SessionParts {
  readonly native: InferenceSession;
  /** On a GPU: what the runtime made for it and would not free. */
  readonly buffers: readonly GPUBuffer[];
  readonly onDispose: () => void;
}

/** A session of the runtime whose inputs and outputs are checked before it runs. */
export class OrtSession implements Session {
  readonly name: string;
  readonly weightBytes: number;
  readonly #inputs: ReadonlyMap<string, readonly Dim[]>;
  readonly #outputs: ReadonlySet<string>;
  readonly #running = new Set<Promise<Record<string, Value>>>();
  #disposed = false;
  #spoilt = false;

  constructor(
    readonly backend: SessionHost,
    model: OnnxModel,
    readonly parts: SessionParts,
  ) {
    const { native } = parts;
    this.name = model.name;
    this.weightBytes = byteLength(model);
    this.#inputs = new Map(
      native.inputMetadata.map((input) => [input.name, input.isTensor ? input.shape : []]),
    );
    this.#outputs = new Set(native.outputNames);
  }

  get isSpoilt(): boolean {
    return this.#spoilt;
  }

  async run(
    inputs: Readonly<Record<string, Value>>,
    outputs: readonly string[],
    options: RunOptions = {},
  ): Promise<Record<string, Value>> {
    const feeds = this.#feeds(inputs);
    this.#refuseUnknown(outputs);
    return await whilePending(this.#running, this.#runNow(feeds, outputs, options));
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    const { native, buffers, onDispose } = this.parts;
    onDispose();
    await Promise.allSettled(this.#running); // a session that is freed while it runs hangs on wasm
    const { schedule, gpu } = this.backend.provider;
    if (!gpu?.isLost()) await schedule(() => native.release());
    for (const buffer of buffers) buffer.destroy();
  }

  async #runNow(
    feeds: Record<string, OrtTensor>,
    outputs: readonly string[],
    { into = {}, within = (run) => run() }: RunOptions,
  ): Promise<Record<string, Value>> {
    const fetches = Object.fromEntries(outputs.map((name) => [
      name,
      into[name] === undefined ? null : this.backend.native(into[name], `write ${name} to a value`),
    ]));
    const results: Record<string, Value> = {};
    try {
      await this.backend.provider.schedule(() =>
        within(async () => {
          const made = await this.parts.native.run(feeds, fetches);
          for (const name of outputs) {
            if (into[name] === undefined) results[name] = this.backend.adopt(made[name]!);
          }
        })
      );
      return results;
    } catch (cause) {
      this.#spoilt = this.backend.provider.failureSpoilsSession === true;
      if (cause instanceof BackendError) throw cause;
      throw new BackendError(`Cannot run ${this.name}: ${reason(cause)}`, { cause });
    }
  }

  #feeds(inputs: Readonly<Record<string, Value>>): Record<string, OrtTensor> {
    if (this.#disposed) throw new BackendError(`Cannot run ${this.name}: it is disposed.`);
    if (this.#spoilt) {
      throw new BackendError(
        `Cannot run ${this.name}: it must be loaded again after a failed run.`,
      );
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
export async function whilePending<T>(pending: Set<Promise<T>>, task: Promise<T>): Promise<T> {
  pending.add(task);
  try {
    return await task;
  } finally {
    pending.delete(task);
  }
}

/** Bytes of a graph and of what lies beside it. */
export function byteLength(model: OnnxModel): number {
  return model.externalData.reduce((sum, { data }) => sum + data.length, model.bytes.length);
}
