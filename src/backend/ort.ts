/**
 * A backend over any build of ONNX Runtime for JavaScript: onnxruntime-web or onnxruntime-node.
 */

import type { InferenceSession, Tensor as OrtTensor } from "npm:onnxruntime-common@1.30.0";
import { BackendError } from "../errors.ts";
import type { OnnxModel } from "../onnx/model_proto.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type {
  Backend,
  BackendName,
  GpuAccess,
  HostNumbers,
  LoadOptions,
  Session,
  Value,
} from "./backend.ts";
import { notingBuffers } from "./gpu/session_buffers.ts";
import { type OrtModule, type OrtProvider, reason } from "./ort_provider.ts";
import { byteLength, OrtSession, whilePending } from "./ort_session.ts";
import { OrtValue } from "./ort_value.ts";

/** Makes a backend of a provider. */
export function ortBackend(ort: OrtModule, provider: OrtProvider): Backend {
  return new OrtBackend(ort, provider);
}

class OrtBackend implements Backend {
  readonly name: BackendName;
  readonly description: string;
  readonly weights: Backend["weights"];
  readonly half: Backend["half"];
  readonly weightLimit: number | undefined;
  readonly memoryLimit: number | undefined;
  readonly gpu: GpuAccess | undefined;
  readonly #values = new Set<OrtValue>();
  readonly #sessions = new Set<OrtSession>();
  readonly #loading = new Set<Promise<InferenceSession>>();
  #disposed = false;

  constructor(readonly ort: OrtModule, readonly provider: OrtProvider) {
    this.name = provider.name;
    this.description = provider.description;
    this.weights = provider.weights;
    this.half = provider.half;
    this.weightLimit = provider.weightLimit;
    this.memoryLimit = provider.memoryLimit;
    const { gpu, schedule } = provider;
    this.gpu = gpu && {
      device: gpu.device,
      recorder: gpu.recorder,
      value: (buffer, dims) => this.adopt(gpu.tensor(buffer, dims)),
      bufferOf: (value) => this.native(value, "use a buffer").gpuBuffer as GPUBuffer, // as we made it
      unlessLost: gpu.unlessLost,
      inTurn: schedule,
    };
  }

  get live(): { values: number; sessions: number } {
    return { values: this.#values.size, sessions: this.#sessions.size };
  }

  async load(model: OnnxModel, options: LoadOptions = {}): Promise<Session> {
    this.#refuseAfterDispose(`load ${model.name}`);
    this.#refuseOverLimit(model);
    const buffers: GPUBuffer[] = [];
    const native = await whilePending(
      this.#loading,
      this.provider.schedule(() => this.#create(model, options, buffers)),
    );
    const onDispose = (): void => void this.#sessions.delete(session);
    const session: OrtSession = new OrtSession(this, model, { native, buffers, onDispose });
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

  /** Counts a tensor of the runtime as alive. */
  adopt(native: OrtTensor): OrtValue {
    const value: OrtValue = new OrtValue(native, () => {
      this.#values.delete(value);
    });
    this.#values.add(value);
    return value;
  }

  /** The runtime's tensor of a value that is alive and belongs to this backend. */
  native(value: Value, verb: string): OrtTensor {
    if (value instanceof OrtValue && this.#values.has(value)) return value.native;
    throw new BackendError(
      `Cannot ${verb}: it must be alive and of this backend (${this.name}): ` +
        `current value is disposed or foreign, [${value.dims}]`,
    );
  }

  async #create(
    model: OnnxModel,
    { memory, sizes }: LoadOptions,
    buffers: GPUBuffer[],
  ): Promise<InferenceSession> {
    const create = (): Promise<InferenceSession> =>
      this.ort.InferenceSession.create(model.bytes, {
        ...this.provider.sessionOptions,
        ...(memory === "freed" && { enableCpuMemArena: false }),
        ...(sizes && { freeDimensionOverrides: sizes }),
        ...(model.externalData.length > 0 ? { externalData: model.externalData } : {}),
      });
    try {
      return await (this.gpu ? notingBuffers(this.gpu.device, buffers, create) : create());
    } catch (cause) {
      throw new BackendError(`Cannot load ${model.name} on ${this.description}: ${reason(cause)}`, {
        cause,
      });
    }
  }

  #refuseAfterDispose(verb: string): void {
    if (!this.#disposed) return;
    throw new BackendError(`Cannot ${verb}: the ${this.name} backend is disposed.`);
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

function float32(numbers: OrtTensor["data"]): Float32Array {
  if (numbers instanceof Float32Array) return numbers;
  throw new BackendError("Cannot download a value: its elements must be float32");
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
