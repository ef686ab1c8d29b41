/**
 * The WebGPU adapter of this machine, asked for without loading a runtime.
 *
 * @module
 */

/** A WebGPU adapter, as far as we ask about it. */
export interface AdapterFacts {
  /** Vendor, device and description, as the runtime reports them. */
  readonly name: string;
  /** Whether it computes on the CPU (llvmpipe, SwiftShader): right, but slow. */
  readonly fallback: boolean;
  /** Largest buffer that a graph can read, in bytes: a weight has one. */
  readonly bufferLimit: number;
}

/** The adapter that `webgpu` would use; `undefined` when there is none. */
export async function findAdapter(): Promise<AdapterFacts | undefined> {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (adapter === undefined || adapter === null) return undefined;
  const { vendor, device, description, isFallbackAdapter } = adapter.info;
  const name = [vendor, device, description].filter((part) => part !== "").join(" ");
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return {
    name: description || name || "unnamed adapter",
    fallback: isFallbackAdapter,
    bufferLimit: Math.min(maxBufferSize, maxStorageBufferBindingSize),
  };
}
