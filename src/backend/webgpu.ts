/**
 * The `webgpu` provider: onnxruntime-web on the GPU; values stay in GPU buffers.
 */

import type { InferenceSession, Tensor as OrtTensor } from "npm:onnxruntime-common@1.30.0";
import { BackendError } from "../errors.ts";
import { findAdapter, openAnotherDevice, openPlainDevice } from "./adapter.ts";
import type { Backend, HostNumbers } from "./backend.ts";
import { elementType } from "./element_type.ts";
import { alignedBytes, VALUE_USAGE } from "./gpu/memory.ts";
import { deviceLost } from "./gpu/lost.ts";
import { beginReadBack } from "./gpu/read_back.ts";
import { Recorder } from "./gpu/recorder.ts";
import { NODE_GPU_ADVICE, whileAwake } from "./node_gpu.ts";
import { ortBackend } from "./ort.ts";
import { inTurn } from "./queue.ts";
import { canSuspend, type RuntimeFiles, useRuntimeFiles } from "./runtime_files.ts";
import { loadTrivial } from "./trivial.ts";

type WebGpuRuntime = typeof import("npm:onnxruntime-web@1.30.0/webgpu");

/** What `--backend webgpu` needs where it is absent. */
export const WEBGPU_ADVICE = "a WebGPU adapter: a GPU driver with Vulkan, Metal or D3D12 " +
  "(on a machine without a GPU: apt-get install mesa-vulkan-drivers), in Deno or a browser, or in Node or Bun " +
  `after ${NODE_GPU_ADVICE}`;

/**
 * Opens the webgpu provider, on a fallback adapter too.
 *
 * @throws {BackendError} When there is no adapter or the runtime does not load.
 */
export async function openWebGpu(files?: RuntimeFiles): Promise<Backend> {
  const adapter = await findAdapter();
  if (adapter === undefined) {
    throw new BackendError(`Cannot open webgpu: it needs ${WEBGPU_ADVICE}.`);
  }
  const ort = await loadRuntime();
  useRuntimeFiles(ort.env.wasm, files);
  ort.env.wasm.numThreads = 1; // only shapes are computed on the CPU
  const shared = await sharedDevice(ort);
  const { gpu, recorder, provider } = shared;
  const kind = adapter.fallback ? "webgpu, fallback adapter" : "webgpu";
  return ortBackend(ort, {
    name: "webgpu",
    description: `${kind} ${adapter.name}`,
    weights: "inputs",
    half: adapter.float16 ? (adapter.fallback ? "slow" : "fast") : undefined,
    sessionOptions: { executionProviders: [provider], preferredOutputLocation: "gpu-buffer" },
    failureSpoilsSession: true, // onnxruntime-web 1.30 keeps the bound inputs of a run that failed
    gpu: {
      device: gpu,
      recorder,
      isLost: () => shared.isLost,
      unlessLost: (task) => unlessLost(shared, task),
      tensor: (buffer, dims) => ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims }),
    },
    upload: uploader(ort, gpu),
    schedule: (task) => inTurn(() => unlessLost(shared, task)),
  });
}

async function loadRuntime(): Promise<WebGpuRuntime> {
  try {
    return canSuspend()
      ? await import("npm:onnxruntime-web@1.30.0/jspi")
      : await import("npm:onnxruntime-web@1.30.0/webgpu");
  } catch (cause) {
    throw new BackendError("Cannot open webgpu: onnxruntime-web must be installed", { cause });
  }
}

/** Uploads to buffers of the runtime's device, freed with their tensor. */
function uploader(ort: WebGpuRuntime, gpu: GPUDevice): (numbers: HostNumbers) => OrtTensor {
  return (numbers) => {
    const { dims, data } = numbers;
    const size = alignedBytes(data.byteLength);
    const buffer = gpu.createBuffer({ size, usage: VALUE_USAGE });
    gpu.queue.writeBuffer(buffer, 0, whole(data));
    return ort.Tensor.fromGpuBuffer(buffer, {
      dataType: elementType(numbers),
      dims,
      download: () => readBack(gpu, buffer, data.byteLength),
      dispose: () => buffer.destroy(),
    });
  };
}

/** The bytes of an array in whole words, as WebGPU copies them. */
function whole(data: HostNumbers["data"]): ArrayBufferView<ArrayBuffer> {
  if (data.byteLength % 4 === 0) return data as ArrayBufferView<ArrayBuffer>; // never a shared buffer
  const padded = new Uint8Array(Math.ceil(data.byteLength / 4) * 4);
  padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return padded;
}

/** Copies a buffer to the host. */
async function readBack(gpu: GPUDevice, buffer: GPUBuffer, size: number): Promise<Float32Array> {
  const [bytes] = await beginReadBack(gpu, [{ buffer, offset: 0, size }]).read();
  return new Float32Array(bytes!); // one place was asked for
}

/** The device of a process, and how sessions come to use it. */
interface SharedDevice {
  readonly gpu: GPUDevice;
  readonly recorder: Recorder;
  readonly provider: InferenceSession.ExecutionProviderConfig;
  isLost: boolean;
  /** What it refused since somebody last asked: it leaves out such commands and goes on. */
  refusal: GPUError | undefined;
  /** Rejects when the device is lost. */
  readonly loss: Promise<never>;
}

let device: Promise<SharedDevice> | undefined;
/** Whether a device was lost: the runtime makes no second one by itself. */
let wasLost = false;

function sharedDevice(ort: WebGpuRuntime): Promise<SharedDevice> {
  device ??= whileAwake(() => openDevice(ort)).catch((error) => {
    device = undefined;
    throw error;
  });
  return device;
}

/** A device lives as long as a session in the runtime: a trivial one keeps it for the whole process. */
async function openDevice(ort: WebGpuRuntime): Promise<SharedDevice> {
  const own = wasLost ? await openAnotherDevice() : await openPlainDevice();
  const provider = own === undefined ? "webgpu" : { name: "webgpu", device: own };
  await inTurn(() => loadTrivial(ort, "webgpu", provider)).catch((cause) => {
    if (!wasLost) throw cause;
    throw new BackendError(
      "Cannot open webgpu: its runtime ended with the device that was lost: it must be opened in a new " +
        "process or worker.",
      { cause },
    );
  });
  const gpu = own ?? await ort.env.webgpu.device as GPUDevice; // typed unknown where DOM types are absent
  const loss = gpu.lost.then(({ message, reason }) => {
    wasLost = shared.isLost = true;
    device = undefined; // who opens next gets another
    throw deviceLost(message || reason || "no reason given");
  });
  loss.catch(() => undefined); // heard by whoever computes
  const recorder = new Recorder(gpu);
  const shared: SharedDevice = {
    ...{ gpu, recorder, provider, loss },
    isLost: false,
    refusal: undefined,
  };
  gpu.addEventListener("uncapturederror", (event) => {
    shared.refusal ??= (event as GPUUncapturedErrorEvent).error; // typed Event where DOM types are absent
  });
  return shared;
}

/**
 * Runs a task, and gives up on it when the device is lost: the runtime may wait for ever. What the device refused
 * meanwhile fails the task, whose results lack it.
 */
async function unlessLost<T>(shared: SharedDevice, task: () => Promise<T>): Promise<T> {
  const { isLost, loss } = shared;
  if (isLost) return await loss;
  try {
    const result = await Promise.race([whileAwake(task), loss]);
    throwRefusal(shared);
    return result;
  } catch (error) {
    // A task may hear of it first, in the words of a runtime whose calls fail.
    await Promise.race([loss, new Promise((resolve) => setTimeout(resolve, LOSS_MS))]);
    throw error;
  }
}

/** @throws {BackendError} When the device refused something, such as a buffer that it has no memory for. */
function throwRefusal(shared: SharedDevice): void {
  const { refusal } = shared;
  if (refusal === undefined) return;
  shared.refusal = undefined;
  // By name: not every runtime has that class as a global.
  const isMemory = refusal.constructor.name === "GPUOutOfMemoryError";
  throw new BackendError(
    isMemory
      ? `Cannot compute on the GPU: it has no memory left (${refusal.message}). Generate fewer ` +
        "pictures at a time, or take another backend."
      : `Cannot compute on the GPU: it refused a command (${refusal.message}).`,
  );
}

/** Milliseconds in which a device says that it is lost; only a task that failed waits for it. */
const LOSS_MS = 20;
