/**
 * The runtime that this code runs in.
 */

/** JavaScript runtimes that load ONNX Runtime in different ways. */
export type RuntimeName = "deno" | "bun" | "node" | "workerd" | "browser";

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

/** Most threads of a provider: a JavaScript engine has megabytes for each. */
export const MOST_THREADS = 256;

/**
 * How many threads a provider on the CPU begins: one for each core unless told otherwise.
 *
 * @throws {RangeError} When it is no whole number in 1 … 256.
 */
export async function threadCount(provider: string, threads?: number): Promise<number> {
  const count = threads ?? Math.min(await coreCount(), MOST_THREADS);
  if (Number.isInteger(count) && count >= 1 && count <= MOST_THREADS) return count;
  throw new RangeError(
    `Cannot open ${provider}: threads must be a whole number in 1 … ${MOST_THREADS}: ` +
      `current value is ${count}`,
  );
}

export async function coreCount(): Promise<number> {
  if (runtimeName() === "workerd") return 1;
  if (runtimeName() === "browser") return globalThis.navigator?.hardwareConcurrency ?? 1;
  const { availableParallelism } = await import("node:os");
  return availableParallelism();
}
