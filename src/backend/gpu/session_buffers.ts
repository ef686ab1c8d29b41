/**
 * Buffers that the runtime makes for the weights and constants of a session.
 *
 * onnxruntime-web 1.30 never frees them: `release()` only lays them aside, for a moment that does not come. A large
 * conditioning has sessions of its own in every run: one of a DiT-XL/2 would leave 0.9 GB on the device.
 */

import { replaceMethod } from "./replace_method.ts";

/** INDIRECT of the WebGPU specification: the runtime's buffers are for that too, and none of ours. */
const INDIRECT = 0x100;

/** Runs a task that makes a session, and adds the buffers that the session has from then on. */
export async function notingBuffers<T>(
  device: GPUDevice,
  noted: GPUBuffer[],
  task: () => Promise<T>,
): Promise<T> {
  const restore = replaceMethod(device, "createBuffer", (original) => (descriptor) => {
    const buffer = original(descriptor);
    if ((descriptor.usage & INDIRECT) !== 0) noted.push(buffer);
    return buffer;
  });
  try {
    return await task();
  } catch (error) {
    for (const buffer of noted) buffer.destroy(); // no session has them
    throw error;
  } finally {
    restore();
  }
}
