/**
 * What an execution provider offers: load a graph, run it, move numbers to and from the device.
 */

import type { OnnxModel } from "../onnx/model_proto.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Recorder } from "./gpu/recorder.ts";

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
  /** Whether a run that failed has left it unusable: it must be loaded again. */
  readonly isSpoilt?: boolean;
  /**
   * Runs the graph and returns the named outputs, and only those; the caller owns them.
   *
   * @throws {BackendError} When a value is disposed, of another backend, or refused by the runtime.
   */
  run(
    inputs: Readonly<Record<string, Value>>,
    outputs: readonly string[],
    options?: RunOptions,
  ): Promise<Record<string, Value>>;
  /** Frees the graph and its initializers; a second call does nothing. */
  dispose(): Promise<void>;
}

export interface RunOptions {
  /** Values that results are written to, by output; they stay the caller's, and are not among the results. */
  readonly into?: Readonly<Record<string, Value>>;
  /** Runs the graph, in its turn, as part of another task. */
  readonly within?: (run: () => Promise<void>) => Promise<void>;
}

export interface LoadOptions {
  /** Sizes that are fixed for good, by name: a backend may then fuse more. */
  readonly sizes?: Readonly<Record<string, number>> | undefined;
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

/** The GPU of a backend whose values are buffers of it. */
export interface GpuAccess {
  readonly device: GPUDevice;
  /** Records what sessions ask of the device. */
  readonly recorder: Recorder;
  /** A buffer as a value; disposing of the value leaves the buffer as it is. */
  value(buffer: GPUBuffer, dims: readonly number[]): Value;
  /** The buffer of a value. */
  bufferOf(value: Value): GPUBuffer;
  /** Runs a task until the device is lost. @throws {BackendError} When it is, or has no memory left. */
  unlessLost<T>(task: () => Promise<T>): Promise<T>;
  /** Waits for its turn among all that use the device. @throws {BackendError} When it is lost. */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
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
  /** Where it computes in float16 too: whether that is its faster way. Weights that are inputs may then be so. */
  readonly half?: "fast" | "slow" | undefined;
  /** Most bytes of weights that sessions may hold together, where there is a limit. */
  readonly weightLimit?: number | undefined;
  /** Most bytes that weights and activations may take together, where there is a limit. */
  readonly memoryLimit?: number | undefined;
  /** The GPU, where values are buffers of one. */
  readonly gpu?: GpuAccess | undefined;
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
