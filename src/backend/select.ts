/**
 * Choosing a provider.
 */

import { findAdapter } from "./adapter.ts";
import type { Backend, BackendName } from "./backend.ts";
import { canLoadNative, findNative, NATIVE_PERMISSIONS, openNative } from "./native.ts";
import type { RuntimeFiles } from "./runtime_files.ts";
import { openWasm } from "./wasm.ts";
import { openWebGpu } from "./webgpu.ts";

/** Which provider to open. */
export interface BackendOptions {
  /** `auto` unless given: see {@link chooseBackend}. */
  readonly backend?: BackendName | "auto" | undefined;
  /** Threads of wasm and native; all cores unless given. */
  readonly threads?: number | undefined;
  /** Where a browser finds onnxruntime-web's own files; beside the script unless given. */
  readonly runtimeFiles?: RuntimeFiles;
  /** Plain WebAssembly of onnxruntime-web, compiled ahead; with it, `auto` is wasm. */
  readonly compiledModule?: WebAssembly.Module;
}

/** A provider and why it was taken. */
export interface BackendChoice {
  readonly name: BackendName;
  /** The reason in words. */
  readonly reason: string;
}

export const BACKENDS: readonly BackendName[] = ["wasm", "webgpu", "native"];

/**
 * What `auto` takes: WebGPU on a hardware adapter, else native where a local `node_modules` has it and it
 * loads, else wasm. It never downloads anything.
 */
export async function chooseBackend(): Promise<BackendChoice> {
  const adapter = await findAdapter();
  if (adapter?.fallback === false) {
    return { name: "webgpu", reason: `hardware adapter ${adapter.name}` };
  }
  const without = adapter === undefined
    ? "no WebGPU adapter"
    : `${adapter.name} is a fallback adapter`;
  if (await findNative() === undefined) {
    return { name: "wasm", reason: `${without}; onnxruntime-node not in node_modules` };
  }
  if (await canLoadNative()) {
    return { name: "native", reason: `${without}; onnxruntime-node found in node_modules` };
  }
  const why = `onnxruntime-node does not load, in Deno it needs ${NATIVE_PERMISSIONS}`;
  return { name: "wasm", reason: `${without}; ${why}` };
}

/**
 * Opens the provider that was asked for.
 *
 * @throws {TypeError} When there is no provider of that name.
 * @throws {BackendError} When it cannot be opened here.
 */
export async function openBackend(
  options: BackendOptions = {},
): Promise<{ readonly backend: Backend; readonly choice: BackendChoice }> {
  const { backend: wanted = "auto", threads: count, runtimeFiles, compiledModule } = options;
  const choice = await choiceOf(wanted, compiledModule);
  const threads = count === undefined ? {} : { threads: count };
  switch (choice.name) {
    case "webgpu":
      return { backend: await openWebGpu(runtimeFiles), choice };
    case "native":
      return { backend: await openNative(threads), choice };
    case "wasm":
      return {
        backend: await openWasm({ ...threads, files: runtimeFiles, compiledModule }),
        choice,
      };
    default:
      throw new TypeError(
        `Cannot open backend: its name must be auto, ${
          BACKENDS.join(", ")
        }: current value is ${wanted}`,
      );
  }
}

async function choiceOf(
  wanted: BackendName | "auto",
  compiledModule: WebAssembly.Module | undefined,
): Promise<BackendChoice> {
  if (wanted !== "auto") return { name: wanted, reason: "asked for" };
  if (compiledModule === undefined) return await chooseBackend();
  return { name: "wasm", reason: "its WebAssembly was given, compiled ahead" };
}
