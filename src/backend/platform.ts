/**
 * Where we run.
 *
 * @module
 */

/** JavaScript runtimes that load ONNX Runtime in different ways. */
export type RuntimeName = "deno" | "bun" | "node" | "workerd" | "browser";

/** Names the runtime. */
export function runtimeName(): RuntimeName {
  // Before the versions: with `nodejs_compat`, workerd tells a version of Node.
  if (globalThis.navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  const versions = globalThis.process?.versions as Record<string, string> | undefined; // absent in browsers
  if (versions?.["deno"] !== undefined) return "deno";
  if (versions?.["bun"] !== undefined) return "bun";
  return versions?.["node"] !== undefined ? "node" : "browser";
}

/** Whether packages may lie in a local `node_modules`. */
export function hasNodeModules(): boolean {
  return !["browser", "workerd"].includes(runtimeName());
}

/** Number of cores we may use. */
export async function coreCount(): Promise<number> {
  if (runtimeName() === "workerd") return 1;
  if (runtimeName() === "browser") return globalThis.navigator?.hardwareConcurrency ?? 1;
  const { availableParallelism } = await import("node:os");
  return availableParallelism();
}
