import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { withCompiledModule } from "../../src/backend/compiled_wasm.ts";

/** `(module (func (export "f") (result i32) i32.const 42))` */
// deno-fmt-ignore
const ANSWER = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11,
]);

Deno.test("withCompiledModule() instantiates the module that is there, whatever the bytes", async () => {
  const original = WebAssembly.instantiate;
  const compiled = new WebAssembly.Module(ANSWER);
  const { module, instance } = await withCompiledModule(
    compiled,
    () => WebAssembly.instantiate(new Uint8Array(1), {}),
  );
  assertStrictEquals(module, compiled);
  const { f } = instance.exports as { readonly f: () => number }; // as the bytes above say
  assertEquals(f(), 42);
  assertStrictEquals(WebAssembly.instantiate, original);
});

Deno.test("withCompiledModule() restores WebAssembly when the runtime does not start", async () => {
  const original = WebAssembly.instantiate;
  const fail = (): Promise<never> => Promise.reject(new RangeError("no"));
  await assertRejects(() => withCompiledModule(new WebAssembly.Module(ANSWER), fail), RangeError);
  assertStrictEquals(WebAssembly.instantiate, original);
});
