import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { withReservedMemory } from "../../src/backend/reserve.ts";
import { deno, runWatched } from "../_shim/watched.ts";

const PAGE = 65_536; // bytes

for (const place of ["main", "worker"] as const) {
  const where = place === "main" ? "on the main thread" : "in a Worker";
  Deno.test(`two wasm threads run a batch of 20 twenty times ${where}, without hanging`, async () => {
    const script = new URL("mlp_runs.ts", import.meta.url);
    const printed = await runWatched(deno(script, place), { seconds: 60 }); // it takes 2
    assertEquals(printed, "20 equal runs, memory grown by 0 pages\n");
  });
}

Deno.test("withReservedMemory() makes shared memory at its full size and refuses to grow it", async () => {
  await withReservedMemory(() => {
    const memory = new WebAssembly.Memory({ initial: 256, maximum: 65_536, shared: true });
    assertEquals(memory.buffer.byteLength, 65_535 * PAGE);
    assertThrows(() => memory.grow(1), RangeError, "Cannot grow WebAssembly memory");
    return Promise.resolve();
  });
});

Deno.test("withReservedMemory() leaves memory that is not shared as it was asked for", async () => {
  await withReservedMemory(() => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 3 });
    assertEquals(memory.buffer.byteLength, PAGE);
    assertEquals(memory.grow(1), 1);
    assertEquals(memory.buffer.byteLength, 2 * PAGE);
    return Promise.resolve();
  });
});

Deno.test("withReservedMemory() stays within a smaller maximum", async () => {
  await withReservedMemory(() => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 100, shared: true });
    const pages = memory.buffer.byteLength / PAGE;
    assertEquals(pages >= 2 && pages <= 100, true);
    return Promise.resolve();
  });
});

Deno.test("withReservedMemory() returns what was initialised and restores WebAssembly.Memory", async () => {
  const { Memory } = WebAssembly;
  assertEquals(await withReservedMemory(() => Promise.resolve(7)), 7);
  assertStrictEquals(WebAssembly.Memory, Memory);
});

Deno.test("withReservedMemory() restores WebAssembly.Memory when initialising fails, at once or later", async () => {
  const { Memory } = WebAssembly;
  const failures: readonly (() => Promise<never>)[] = [
    () => Promise.reject(new Error("later")),
    () => {
      throw new Error("at once");
    },
  ];
  for (const fail of failures) {
    await assertRejects(() => withReservedMemory(fail), Error);
    assertStrictEquals(WebAssembly.Memory, Memory);
  }
});
