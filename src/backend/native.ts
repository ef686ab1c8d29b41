/**
 * The `native` provider: onnxruntime-node on the CPU, where a local `node_modules` has it.
 *
 * It is optional and never downloaded: it is looked for, and only then loaded.
 */

import { BackendError } from "../errors.ts";
import { discard } from "../tensor/tensor.ts";
import type { Backend } from "./backend.ts";
import { elementType } from "./element_type.ts";
import { findLocal, localRequire } from "./local_package.ts";
import { ortBackend } from "./ort.ts";
import type { OrtModule } from "./ort_provider.ts";
import { threadCount } from "./platform.ts";

export interface NativeOptions {
  /** Threads, at least 1; all cores unless told otherwise. */
  readonly threads?: number;
}

const PACKAGE = "onnxruntime-node";
/** What to allow in Deno, so that the provider loads. */
export const NATIVE_PERMISSIONS = "--allow-read --allow-env --allow-ffi --allow-sys";
/** What to run, and to allow, so that the provider is found. */
export const NATIVE_ADVICE =
  `npm install --no-save --ignore-scripts ${PACKAGE}@1.30.0 (about 270 MB), then allow ` +
  NATIVE_PERMISSIONS;

/** Path of the package in the nearest local `node_modules`; `undefined` when there is none. */
export async function findNative(): Promise<string | undefined> {
  return await findLocal(PACKAGE);
}

/** Whether the package that was found can be loaded: it may lack a permission or its library. */
export async function canLoadNative(): Promise<boolean> {
  return await loadNative().then(() => true, () => false);
}

/**
 * Opens the native provider.
 *
 * @throws {RangeError} When `threads` is no whole number in 1 … 256.
 * @throws {BackendError} When the package is not in a local `node_modules`, or does not load.
 */
export async function openNative(options: NativeOptions = {}): Promise<Backend> {
  const threads = await threadCount("native", options.threads);
  const ort = await loadNative();
  keepFreedMemory();
  const { totalmem } = await import("node:os");
  return ortBackend(ort, {
    name: "native",
    description: `native, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    weights: "initializers",
    memoryLimit: totalmem(),
    // Every session has threads of its own: one that spins after its run takes the core from the
    // next session's, which made a step of 24 modules 12 times slower.
    // An arena for each session would keep all that it ever held: a third of DiT-XL/2's memory. Steps were a
    // tenth faster without.
    sessionOptions: {
      executionProviders: ["cpu"],
      enableCpuMemArena: false,
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    },
    upload: (numbers) => new ort.Tensor(elementType(numbers), numbers.data, numbers.dims),
    schedule: (task) => task(),
  });
}

/** The largest block that glibc takes from its heap, less what it adds. */
const LARGEST_KEPT = (32 << 20) - (1 << 13);

/**
 * Shows the C library a large block that is freed. glibc hands blocks above 128 KiB back to the system as soon as they
 * are freed, and gets them anew page by page, until one of their size was freed; the first steps of a process would be
 * spent on that. Other libraries lose nothing: no page of it is touched.
 */
function keepFreedMemory(): void {
  discard(new Uint8Array(LARGEST_KEPT));
}

async function loadNative(): Promise<OrtModule> {
  if (await findNative() === undefined) {
    throw new BackendError(
      `Cannot open native: ${PACKAGE} must be in a local node_modules: run ${NATIVE_ADVICE}`,
    );
  }
  try {
    return (await localRequire())(PACKAGE) as OrtModule; // untyped by nature of require
  } catch (cause) {
    throw new BackendError(`Cannot open native: ${PACKAGE} must load: run ${NATIVE_ADVICE}`, {
      cause,
    });
  }
}
