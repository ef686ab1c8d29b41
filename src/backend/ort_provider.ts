/**
 * What a backend over ONNX Runtime is made of: the runtime's module, and what differs between providers.
 */

import type { InferenceSession, Tensor as OrtTensor } from "npm:onnxruntime-common@1.30.0";
import type { Backend, BackendName, HostNumbers } from "./backend.ts";
import type { Recorder } from "./gpu/recorder.ts";

/** The part of an ONNX Runtime module that we call. */
export interface OrtModule {
  readonly InferenceSession: typeof InferenceSession;
  readonly Tensor: typeof OrtTensor;
}

/** What differs between providers. */
export interface OrtProvider {
  readonly name: BackendName;
  readonly description: string;
  /** See {@link Backend.weights}. */
  readonly weights: Backend["weights"];
  /** Options of every session; an explicit execution provider is always among them. */
  readonly sessionOptions: InferenceSession.SessionOptions;
  /** See {@link Backend.half}. */
  readonly half?: Backend["half"];
  /** Largest sum of weight bytes that sessions may hold, where there is a limit. */
  readonly weightLimit?: number;
  /** See {@link Backend.memoryLimit}. */
  readonly memoryLimit?: number;
  /** Whether a session that failed to run would give the inputs of that run to the next one. */
  readonly failureSpoilsSession?: boolean;
  /** Its device and how tensors are buffers of it, where they are. */
  readonly gpu?: {
    readonly device: GPUDevice;
    readonly recorder: Recorder;
    /** Whether the device is gone: what it held is gone too. */
    isLost(): boolean;
    /** Runs a task until the device is lost. @throws {BackendError} When it is, or has no memory left. */
    unlessLost<T>(task: () => Promise<T>): Promise<T>;
    /** A buffer as a tensor of the runtime. */
    tensor(buffer: GPUBuffer, dims: readonly number[]): OrtTensor;
  };
  /** Makes a device tensor of host numbers. */
  upload(numbers: HostNumbers): OrtTensor;
  /** Runs create and run calls; WebGPU needs them one after another. */
  schedule<T>(task: () => Promise<T>): Promise<T>;
}

/** First line of what the runtime said: the rest is a stack of file names of its build. */
export function reason(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split("\n")[0] ?? message;
}
