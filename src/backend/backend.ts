/**
 * What an execution provider offers: load a graph, run it, move numbers to and from the device.
 */

import type { OnnxModel } from "../onnx/model_proto.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The providers we know. */
export type BackendName = "wasm" | "webgpu" | "native";

/** Numbers to copy to the device: float32, or of a weight the bits of float16 or integers. */
export interface HostNumbers {
  readonly dims: readonly number[];
  /** The numbers, last dimension fastest. */
  readonly data: Float32Array | Uint16Array | Uint8Array;
}

/** Numbers on the device; the creator of a value disposes of it. */
export interface Value {
  readonly dims: readonly number[];
  readonly byteLength: number;
  /** Frees it; a second call does nothing. */
  dispose(): void;
}

/** A loaded graph. */
export interface Session {
  readonly name: string;
  /**
   * Runs the graph and returns the named outputs, and only those; the caller owns them.
   *
   * @throws {BackendError} When a value is disposed, of another backend, or refused by the runtime.
   */
  run(
    inputs: Readonly<Record<string, Value>>,
    outputs: readonly string[],
  ): Promise<Record<string, Value>>;
  /** Frees the graph and its initializers; a second call does nothing. */
  dispose(): Promise<void>;
}

export interface LoadOptions {
  /** Whether a session keeps memory for its next run, where it can; `freed` suits few runs with large values. */
  readonly memory?: "kept" | "freed";
}

/** How many device values and sessions are alive: both are 0 after everything was disposed. */
export interface LiveCounts {
  /** Values not yet disposed. */
  readonly values: number;
  /** Sessions not yet disposed. */
  readonly sessions: number;
}

/** One execution provider, ready to load graphs. */
export interface Backend {
  readonly name: BackendName;
  /** Provider, device and threads in words, such as `wasm, 2 threads`. */
  readonly description: string;
  /**
   * How weights are bound: as initializers of one session per module, or as shared values given at
   * each run, so that segments of any length can be built without a second copy.
   */
  readonly weights: "initializers" | "inputs";
  /** Whether weights that are inputs may be float16. */
  readonly halfWeights?: boolean | undefined;
  /** Most bytes of weights that sessions may hold together, where there is a limit. */
  readonly weightLimit?: number | undefined;
  /** Most bytes that weights and activations may take together, where there is a limit. */
  readonly memoryLimit?: number | undefined;
  readonly live: LiveCounts;
  /**
   * Makes a session.
   *
   * @throws {BackendError} When the runtime refuses the graph or has no memory for it.
   */
  load(model: OnnxModel, options?: LoadOptions): Promise<Session>;
  /**
   * Copies numbers to the device; they must stay unchanged while the value lives.
   *
   * @throws {BackendError} When the backend is disposed or the device has no memory left.
   */
  upload(numbers: HostNumbers): Value;
  /** Copies float32 numbers back to the host. */
  download(value: Value): Promise<Tensor>;
  /** Ends the backend: its sessions and values are freed and further calls are refused. */
  dispose(): Promise<void>;
}
