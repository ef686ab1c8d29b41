/**
 * Where we run.
 *
 * @module
 */

/** JavaScript runtimes that load ONNX Runtime in different ways. */
export type RuntimeName = "deno" | "bun" | "node" | "browser";

/** Names the runtime. */
export function runtimeName(): RuntimeName {
  const versions = globalThis.process?.versions as Record<string, string> | undefined; // absent in browsers
  if (versions?.["deno"] !== undefined) return "deno";
  if (versions?.["bun"] !== undefined) return "bun";
  return versions?.["node"] !== undefined ? "node" : "browser";
}

/** Number of cores we may use. */
export async function coreCount(): Promise<number> {
  if (runtimeName() === "browser") return globalThis.navigator?.hardwareConcurrency ?? 1;
  const { availableParallelism } = await import("node:os");
  return availableParallelism();
}
