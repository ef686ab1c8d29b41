/**
 * The WebGPU adapter of this machine, asked for without loading a runtime.
 */

import { BackendError } from "../errors.ts";
import { provideGpu } from "./node_gpu.ts";

/** The facts about a WebGPU adapter that matter here. */
export interface AdapterFacts {
  /** Vendor, device and description, as the runtime reports them. */
  readonly name: string;
  /** Whether it computes on the CPU (llvmpipe, SwiftShader): right, but slow. */
  readonly fallback: boolean;
  /** Whether its shaders read float16. */
  readonly float16: boolean;
}

/** Keeps libwayland from complaining on stderr where Mesa looks for a display without a session. */
export function silenceWayland(): void {
  const { process } = globalThis;
  if (process.platform === "linux") process.env["XDG_RUNTIME_DIR"] ??= "/nonexistent";
}

/** The adapter that `webgpu` would use; `undefined` when there is none. */
export async function findAdapter(): Promise<AdapterFacts | undefined> {
  await provideGpu();
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

/**
 * A device for adapters on which the runtime's own would compute wrongly; `undefined` where its own is
 * right.
 *
 * onnxruntime-web 1.30 computes attention with subgroups where the device has them. With four lanes
 * (SwiftShader has no more) its results are wrong from 32 tokens on; without subgroups it takes another,
 * correct path. Apple's adapters guarantee no more than four lanes, so they take that path too.
 */
export async function openPlainDevice(): Promise<GPUDevice | undefined> {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (!adapter?.features.has("subgroups") || adapter.info.vendor === "apple") return undefined;
  if (adapter.info.subgroupMinSize >= LEAST_LANES) return undefined;
  return await openDevice(adapter, HELPFUL);
}

/**
 * Opens a device as the runtime would: for a process whose first one was lost, since the runtime makes only one.
 *
 * @throws {BackendError} When there is no adapter any more.
 */
export async function openAnotherDevice(): Promise<GPUDevice> {
  const plain = await openPlainDevice();
  if (plain !== undefined) return plain;
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (adapter) return await openDevice(adapter, [...HELPFUL, "subgroups", "timestamp-query"]);
  throw new BackendError(
    "Cannot open webgpu: its device was lost, and there is no adapter any more.",
  );
}

async function openDevice(
  adapter: GPUAdapter,
  features: readonly GPUFeatureName[],
): Promise<GPUDevice> {
  const requiredFeatures = features.filter((feature) => adapter.features.has(feature));
  const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
  return await adapter.requestDevice({ requiredFeatures, requiredLimits });
}

/** Lanes of the narrowest subgroups for which the runtime's attention was written. */
const LEAST_LANES = 8;
const HELPFUL = ["shader-f16"] as const;
/** What the runtime asks for beyond the defaults of the specification. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Largest buffer that a graph can read, in bytes: a weight has one. `undefined` without an adapter. */
export async function findBufferLimit(): Promise<number | undefined> {
  const adapter = await globalThis.navigator?.gpu?.requestAdapter();
  if (adapter === undefined || adapter === null) return undefined;
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return Math.min(maxBufferSize, maxStorageBufferBindingSize);
}
