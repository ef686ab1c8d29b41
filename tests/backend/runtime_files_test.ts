import { assert, assertEquals } from "@std/assert";
import { canSuspend, runtimeBinary, useRuntimeFiles } from "../../src/backend/runtime_files.ts";

Deno.test("runtimeBinary() names files that onnxruntime-web exports", () => {
  for (const provider of ["wasm", "webgpu"] as const) {
    assert(import.meta.resolve(`onnxruntime-web/${runtimeBinary(provider)}`).length > 0);
  }
  assertEquals(runtimeBinary("webgpu").includes("jspi"), canSuspend());
});

Deno.test("useRuntimeFiles() tells the runtime only what it was given", () => {
  const flags: { wasmPaths?: unknown; wasmBinary?: Uint8Array } = {};
  useRuntimeFiles(flags, undefined);
  assertEquals(flags, {});
  useRuntimeFiles(flags, { folder: "/page/ort/" });
  assertEquals(flags, { wasmPaths: "/page/ort/" });
  const binary = Uint8Array.of(0, 97);
  useRuntimeFiles(flags, { folder: "/ort/", binary });
  assertEquals(flags, { wasmPaths: "/ort/", wasmBinary: binary });
});
