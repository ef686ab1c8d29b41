/**
 * The `webgpu` provider: onnxruntime-web on the GPU; values stay in GPU buffers.
 */

import type { InferenceSession, Tensor as OrtTensor } from "npm:onnxruntime-common@1.30.0";
import { BackendError } from "../errors.ts";
import { findAdapter, openPlainDevice } from "./adapter.ts";
import type { Backend, HostNumbers } from "./backend.ts";
import { elementType } from "./element_type.ts";
import { alignedBytes } from "./gpu/memory.ts";
import { beginReadBack } from "./gpu/read_back.ts";
import { Recorder } from "./gpu/recorder.ts";
import { ortBackend } from "./ort.ts";
import { inTurn } from "./queue.ts";
import { canSuspend, type RuntimeFiles, useRuntimeFiles } from "./runtime_files.ts";
import { loadTrivial } from "./trivial.ts";

type WebGpuRuntime = typeof import("npm:onnxruntime-web@1.30.0/webgpu");

/** What `--backend webgpu` needs where it is absent. */
export const WEBGPU_ADVICE = "a WebGPU adapter: a GPU driver with Vulkan, Metal or D3D12 " +
  "(on a machine without a GPU: apt-get install mesa-vulkan-drivers), in Deno or a browser";

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
  const { gpu, recorder, provider } = await sharedDevice(ort);
  const kind = adapter.fallback ? "webgpu, fallback adapter" : "webgpu";
  return ortBackend(ort, {
    name: "webgpu",
    description: `${kind} ${adapter.name}`,
    weights: "inputs",
    halfWeights: adapter.float16,
    sessionOptions: { executionProviders: [provider], preferredOutputLocation: "gpu-buffer" },
    failureSpoilsSession: true, // onnxruntime-web 1.30 keeps the bound inputs of a run that failed
    gpu: {
      device: gpu,
      recorder,
      tensor: (buffer, dims) => ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims }),
    },
    upload: uploader(ort, gpu),
    schedule: inTurn,
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
    const buffer = gpu.createBuffer({ size, usage: BUFFER_USAGE });
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
}

let device: Promise<SharedDevice> | undefined;

function sharedDevice(ort: WebGpuRuntime): Promise<SharedDevice> {
  device ??= openDevice(ort).catch((error) => {
    device = undefined;
    throw error;
  });
  return device;
}

/** A device lives as long as a session in the runtime: a trivial one keeps it for the whole process. */
async function openDevice(ort: WebGpuRuntime): Promise<SharedDevice> {
  const plain = await openPlainDevice();
  const provider = plain === undefined ? "webgpu" : { name: "webgpu", device: plain };
  await inTurn(() => loadTrivial(ort, "webgpu", provider));
  const gpu = plain ?? await ort.env.webgpu.device as GPUDevice; // typed unknown where DOM types are absent
  return { gpu, recorder: new Recorder(gpu), provider };
}

const BUFFER_USAGE = 0x80 | 0x8 | 0x4; // STORAGE | COPY_DST | COPY_SRC of the WebGPU specification
