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
  /** Whether its shaders read float16. */
  readonly float16: boolean;
}

/** The adapter that `webgpu` would use; `undefined` when there is none. */
export async function findAdapter(): Promise<AdapterFacts | undefined> {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (adapter === undefined || adapter === null) return undefined;
  const { vendor, device, description, isFallbackAdapter } = adapter.info;
  const name = [vendor, device, description].filter((part) => part !== "").join(" ");
  return {
    name: description || name || "unnamed adapter",
    fallback: isFallbackAdapter,
    float16: adapter.features.has("shader-f16"),
  };
}

/** Largest buffer that a graph can read, in bytes: a weight has one. `undefined` without an adapter. */
export async function findBufferLimit(): Promise<number | undefined> {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (adapter === undefined || adapter === null) return undefined;
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return Math.min(maxBufferSize, maxStorageBufferBindingSize);
}
