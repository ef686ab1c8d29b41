import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type BackendOptions, openBackend } from "../../src/backend/select.ts";
import { openNative } from "../../src/backend/native.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { BackendError } from "../../src/errors.ts";
import { deno, runWatched } from "../_shim/watched.ts";

Deno.test("openBackend() refuses a name that is no provider's and lists those that are", async () => {
  const options = { backend: "cuda" } as unknown as BackendOptions; // as from a user without types
  await assertRejects(
    () => openBackend(options),
    TypeError,
    "its name must be auto, wasm, webgpu, native: current value is cuda",
  );
});

Deno.test("openBackend() opens what was asked for and says so", async () => {
  const { backend, choice } = await openBackend({ backend: "wasm", threads: 1 });
  assertEquals(choice, { name: "wasm", reason: "asked for" });
  assertEquals([backend.name, backend.description], ["wasm", "wasm, 1 thread"]);
  await backend.dispose();
});

Deno.test("openWasm() and openNative() refuse threads that are no positive integer", async () => {
  for (const threads of [0, -1, 1.5, NaN]) {
    const message = `threads must be a positive integer: current value is ${threads}`;
    await assertRejects(() => openWasm({ threads }), RangeError, `Cannot open wasm: ${message}`);
    await assertRejects(
      () => openNative({ threads }),
      RangeError,
      `Cannot open native: ${message}`,
    );
  }
});

Deno.test("openWasm() refuses another number of threads than this process began with", async () => {
  const first = await openWasm({ threads: 1 });
  await assertRejects(
    () => openWasm({ threads: 2 }),
    BackendError,
    "threads must be 1, as this process began: current value is 2",
  );
  const second = await openWasm();
  assertEquals(second.description, "wasm, 1 thread");
  for (const backend of [first, second]) await backend.dispose();
});

Deno.test("without a local node_modules native says how to get it, and auto takes another", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const script = new URL("open_errors.ts", import.meta.url);
    const options = { seconds: 60, cwd: new URL(`file://${folder}/`) }; // it takes one
    const { said, choice } = JSON.parse(await runWatched(deno(script), options));
    assertStringIncludes(
      said,
      "BackendError: Cannot open native: onnxruntime-node must be in a local",
    );
    assertStringIncludes(said, "npm install --no-save --ignore-scripts onnxruntime-node@1.30.0");
    assertStringIncludes(said, "--allow-ffi");
    assertEquals(["wasm", "webgpu"].includes(choice.name), true);
    if (choice.name === "wasm") assertStringIncludes(choice.reason, "not in node_modules");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
