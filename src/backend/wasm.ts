/**
 * The `wasm` provider: onnxruntime-web on the CPU, everywhere WebAssembly SIMD runs.
 */

import { BackendError } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { NO_BINARY, withCompiledModule } from "./compiled_wasm.ts";
import { elementType } from "./element_type.ts";
import { ortBackend } from "./ort.ts";
import type { OrtModule } from "./ort_provider.ts";
import { hasNodeModules, runtimeName, threadCount } from "./platform.ts";
import { withReservedMemory } from "./reserve.ts";
import { type RuntimeFiles, useRuntimeFiles } from "./runtime_files.ts";
import { loadTrivial } from "./trivial.ts";

export interface WasmOptions {
  /** Threads, at least 1; all cores unless told otherwise. One number for the whole process. */
  readonly threads?: number;
  /** Where a browser finds the runtime. */
  readonly files?: RuntimeFiles | undefined;
  /** Plain WebAssembly of onnxruntime-web, compiled ahead: for runtimes that compile none (workerd). */
  readonly compiledModule?: WebAssembly.Module | undefined;
}

/** WebAssembly's 4 GiB minus memory for activations and the runtime itself. */
export const WEIGHT_LIMIT = 3.5 * 2 ** 30;

/** All that WebAssembly can address in 32 bits: 4 GiB. */
export const HEAP_LIMIT = 2 ** 32;

type WasmOrt = typeof import("npm:onnxruntime-web@1.30.0");

interface WasmRuntime {
  readonly ort: OrtModule;
  readonly threads: number;
}

let runtime: Promise<WasmRuntime> | undefined;

/**
 * Opens the wasm provider.
 *
 * The runtime is initialised once in a process, and so is its number of threads.
 *
 * @throws {RangeError} When `threads` is no whole number in 1 … 256.
 * @throws {BackendError} When the runtime is missing, or runs with another number of threads.
 */
export async function openWasm(options: WasmOptions = {}): Promise<Backend> {
  const { compiledModule } = options;
  const threads = compiledModule === undefined ? await threadCount("wasm", options.threads) : 1;
  runtime ??= initialise(threads, options).catch((error) => {
    runtime = undefined;
    throw error;
  });
  const { ort, threads: running } = await runtime;
  if (options.threads !== undefined && options.threads !== running) {
    throw new BackendError(
      `Cannot open wasm: threads must be ${running}, as elsewhere in this process: current value is ${threads}`,
    );
  }
  return ortBackend(ort, {
    name: "wasm",
    description: `wasm, ${running} ${running === 1 ? "thread" : "threads"}`,
    weights: "initializers",
    // Prepacked weights would be held twice, and were no faster. An arena for each session would keep its
    // own memory for activations; without, all sessions use the same, which stays in the CPU's cache: 12 %.
    sessionOptions: {
      executionProviders: ["wasm"],
      enableCpuMemArena: false,
      extra: { session: { disable_prepacking: "1" } },
    },
    weightLimit: WEIGHT_LIMIT,
    memoryLimit: HEAP_LIMIT,
    upload: (numbers) => new ort.Tensor(elementType(numbers), numbers.data, numbers.dims),
    schedule: (task) => task(),
  });
}

async function initialise(
  threads: number,
  { files, compiledModule }: WasmOptions,
): Promise<WasmRuntime> {
  const ort = await load();
  const isolated = runtimeName() !== "browser" ||
    Reflect.get(globalThis, "crossOriginIsolated") === true;
  const usable = isolated ? threads : 1;
  ort.env.wasm.numThreads = usable;
  useRuntimeFiles(ort.env.wasm, files);
  const begin = () => loadTrivial(ort, "wasm"); // the first session makes memory and threads
  await (await begun(ort, begin, compiledModule)).release();
  return { ort, threads: usable };
}

/** Runs the first use of the runtime with the workarounds that this host needs. */
function begun<T>(
  ort: WasmOrt,
  begin: () => Promise<T>,
  compiledModule: WebAssembly.Module | undefined,
): Promise<T> {
  if (compiledModule !== undefined) {
    ort.env.wasm.wasmBinary = NO_BINARY;
    return withCompiledModule(compiledModule, begin);
  }
  const reserve = runtimeName() === "deno" && ort.env.wasm.numThreads !== 1;
  return reserve ? withReservedMemory(begin) : begin();
}

async function load(): Promise<WasmOrt> {
  try {
    return hasNodeModules()
      ? await import("npm:onnxruntime-web@1.30.0")
      : await import("npm:onnxruntime-web@1.30.0/wasm");
  } catch (cause) {
    throw new BackendError("Cannot open wasm: onnxruntime-web must be installed", { cause });
  }
}
