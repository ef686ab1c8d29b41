/**
 * Where a browser finds onnxruntime-web's own files, which a bundle does not contain.
 */

/** The runtime's `.mjs` and `.wasm` files; their names are those of the package. */
export interface RuntimeFiles {
  /** URL of the folder, ending in `/`; of the page's own origin, or threads do not start. */
  readonly folder: string;
  /** Bytes of the provider's `.wasm`, where they were fetched ahead. */
  readonly binary?: Uint8Array<ArrayBuffer>;
}

/** Name of the `.wasm` file that a provider loads; the WebGPU one depends on what the browser can do. */
export function runtimeBinary(provider: "wasm" | "webgpu"): string {
  if (provider === "wasm") return "ort-wasm-simd-threaded.wasm";
  return `ort-wasm-simd-threaded.${canSuspend() ? "jspi" : "asyncify"}.wasm`;
}

/** Whether WebAssembly can wait for promises (JSPI), which starts faster than rewritten code. */
export function canSuspend(): boolean {
  return "Suspending" in WebAssembly;
}

/** Sets, before the runtime loads, where its files are. */
export function useRuntimeFiles(
  flags: { wasmPaths?: unknown; wasmBinary?: ArrayBufferLike | Uint8Array },
  files: RuntimeFiles | undefined,
): void {
  if (files === undefined) return;
  flags.wasmPaths = files.folder;
  if (files.binary !== undefined) flags.wasmBinary = files.binary;
}
