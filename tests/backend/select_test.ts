import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { type BackendChoice, type BackendOptions, openBackend } from "../../src/backend/select.ts";
import { openNative } from "../../src/backend/native.ts";
import { openWasm } from "../../src/backend/wasm.ts";
import { BackendError } from "../../src/errors.ts";
import { requires } from "../_shim/requires.ts";
import { denoAllowing, ROOT, runWatched } from "../_shim/watched.ts";

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

Deno.test("openWasm() and openNative() refuse threads that are no whole number in 1 … 256", async () => {
  for (const threads of [0, -1, 1.5, NaN, 257, Infinity]) {
    const message = `threads must be a whole number in 1 … 256: current value is ${threads}`;
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
    "threads must be 1, as elsewhere in this process: current value is 2",
  );
  const second = await openWasm();
  assertEquals(second.description, "wasm, 1 thread");
  for (const backend of [first, second]) await backend.dispose();
});

Deno.test("without a local node_modules native says how to get it, and auto takes another", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { native, choice } = await openErrors(["read", "env", "sys", "ffi"], folder);
    assertMatch(native, /^BackendError: Cannot open native: onnxruntime-node must be in a local/);
    assertStringIncludes(native, "npm install --no-save --ignore-scripts onnxruntime-node@1.30.0");
    assertStringIncludes(native, "--allow-ffi");
    if (choice.name !== "webgpu") { // which is taken where there is a GPU
      assertEquals(choice.name, "wasm");
      assertStringIncludes(choice.reason, "onnxruntime-node not in node_modules");
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const permitted = await requires("permissions of native", "native");
Deno.test(
  "without a permission each provider says so in one line, and auto takes another",
  permitted,
  async () => {
    const { native, wasm, choice } = await openErrors(["read"]);
    assertMatch(native, /^BackendError: Cannot open native: .*--allow-ffi.*$/);
    assertEquals(wasm, "");
    if (choice.name !== "webgpu") {
      assertEquals(choice.name, "wasm");
      assertStringIncludes(
        choice.reason,
        "onnxruntime-node does not load, in Deno it needs --allow",
      );
    }
    const { wasm: unreadable } = await openErrors([]);
    assertMatch(
      unreadable,
      /^BackendError: Cannot open wasm: its runtime does not start: .*--allow-read.*$/,
    );
  },
);

interface OpenErrors {
  readonly native: string;
  readonly wasm: string;
  readonly choice: BackendChoice;
}

async function openErrors(permissions: readonly string[], folder?: string): Promise<OpenErrors> {
  const command = denoAllowing(permissions, new URL("open_errors.ts", import.meta.url));
  const cwd = folder === undefined ? ROOT : new URL(`file://${folder}/`);
  return JSON.parse(await runWatched(command, { seconds: 60, cwd })); // it takes one
}
