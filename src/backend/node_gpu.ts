/**
 * WebGPU in Node and Bun, which have none of their own: the package `webgpu` (Dawn), where a local `node_modules` has
 * it. It is never downloaded, as `onnxruntime-node` is not.
 */

import { findLocal, localUrl } from "./local_package.ts";
import { runtimeName } from "./platform.ts";

/** The part of the package that is called. */
interface DawnPackage {
  create(flags: readonly string[]): GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

const PACKAGE = "webgpu";
/** What to run, so that Node and Bun have WebGPU. */
export const NODE_GPU_ADVICE = `npm install --no-save --ignore-scripts ${PACKAGE}@0.6.2 (132 MB)`;

/** Gives Node and Bun `navigator.gpu` and WebGPU's classes, once, if the package is there. */
export async function provideGpu(): Promise<void> {
  if (!lacksGpu() || globalThis.navigator?.gpu !== undefined) return;
  if (await findLocal(PACKAGE) === undefined) return;
  const { create, globals }: DawnPackage = await import(await localUrl(PACKAGE));
  Object.assign(globalThis, globals);
  // Node 20 has no navigator; that of later ones can only be replaced.
  const gpu = { value: create([]) };
  const navigator: Navigator = Object.create(globalThis.navigator ?? null, { gpu });
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
  copySharedWrites(GPUQueue.prototype);
}

/** Waits for the GPU, and keeps the process alive meanwhile: the package does not, as other runtimes do. */
export async function whileAwake<T>(task: () => Promise<T>): Promise<T> {
  if (!lacksGpu()) return await task();
  const timer = setInterval(() => undefined, 1000);
  try {
    return await task();
  } finally {
    clearInterval(timer);
  }
}

function lacksGpu(): boolean {
  return ["node", "bun"].includes(runtimeName());
}

/** The package takes no shared memory, which is what the runtime's WebAssembly writes from. */
function copySharedWrites(queue: GPUQueue): void {
  const { writeBuffer } = queue;
  queue.writeBuffer = function (buffer, offset, data, from = 0, size): undefined {
    const isView = ArrayBuffer.isView(data);
    const memory = isView ? data.buffer : data;
    if (!(memory instanceof SharedArrayBuffer)) {
      writeBuffer.call(this, buffer, offset, data, from, size);
      return;
    }
    const width = isView && "BYTES_PER_ELEMENT" in data ? Number(data.BYTES_PER_ELEMENT) : 1;
    const start = (isView ? data.byteOffset : 0) + from * width;
    const length = size === undefined ? data.byteLength - from * width : size * width;
    writeBuffer.call(this, buffer, offset, new Uint8Array(memory, start, length).slice());
  };
}
