/**
 * The `wasm` provider: onnxruntime-web on the CPU, everywhere WebAssembly SIMD runs.
 *
 * @module
 */

import { BackendError } from "../errors.ts";
import type { Backend } from "./backend.ts";
import { ortBackend, type OrtModule } from "./ort.ts";
import { coreCount, runtimeName } from "./platform.ts";
import { withReservedMemory } from "./reserve.ts";
import { type RuntimeFiles, useRuntimeFiles } from "./runtime_files.ts";
import { loadTrivial } from "./trivial.ts";

/** Settings of the wasm provider. */
export interface WasmOptions {
  /** Threads, at least 1; all cores unless told otherwise. One number for the whole process. */
  readonly threads?: number;
  /** Where a browser finds the runtime. */
  readonly files?: RuntimeFiles | undefined;
}

/** All of WebAssembly's 4 GiB but room for activations and the runtime itself. */
export const WEIGHT_LIMIT = 3.5 * 2 ** 30;

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
 * @throws {RangeError} When `threads` is not a positive integer.
 * @throws {BackendError} When the runtime is missing, or runs with another number of threads.
 */
export async function openWasm(options: WasmOptions = {}): Promise<Backend> {
  const threads = options.threads ?? await coreCount();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new RangeError(
      `Cannot open wasm: threads must be a positive integer: current value is ${threads}`,
    );
  }
  runtime ??= initialise(threads, options.files).catch((error) => {
    runtime = undefined;
    throw error;
  });
  const { ort, threads: running } = await runtime;
  if (options.threads !== undefined && options.threads !== running) {
    throw new BackendError(
      `Cannot open wasm: threads must be ${running}, as this process began: current value is ${threads}`,
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
    upload: ({ dims, data }) => new ort.Tensor("float32", data, dims),
    schedule: (task) => task(),
  });
}

async function initialise(threads: number, files?: RuntimeFiles): Promise<WasmRuntime> {
  const browser = runtimeName() === "browser";
  const ort = await load(browser);
  const isolated = !browser || Reflect.get(globalThis, "crossOriginIsolated") === true;
  const usable = isolated ? threads : 1;
  ort.env.wasm.numThreads = usable;
  useRuntimeFiles(ort.env.wasm, files);
  const reserve = runtimeName() === "deno" && usable > 1;
  const begin = () => loadTrivial(ort, "wasm"); // the first session makes memory and threads
  await (await (reserve ? withReservedMemory(begin) : begin())).release();
  return { ort, threads: usable };
}

async function load(browser: boolean): Promise<typeof import("onnxruntime-web")> {
  try {
    return browser ? await import("onnxruntime-web/wasm") : await import("onnxruntime-web");
  } catch (cause) {
    throw new BackendError("Cannot open wasm: onnxruntime-web must be installed", { cause });
  }
}
