import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { digestOf } from "../../../scripts/build/page.ts";
import { PAGE_SCRIPT, PAGE_SCRIPT_SOURCES } from "../../../src/server/page_script.ts";

Deno.test("the page's script in the package is made of today's sources (deno task build:page --script)", async () => {
  assertEquals(PAGE_SCRIPT_SOURCES, await digestOf(["src/page/main.ts"]));
});

Deno.test("digestOf() follows imports of code, and not of types", async () => {
  const state = await digestOf(["src/page/state.ts"]);
  assertNotEquals(state, await digestOf(["src/page/format.ts"])); // which state.ts imports
  assertEquals(state, await digestOf(["src/page/state.ts", "src/page/format.ts"]));
  assertNotEquals(state, await digestOf(["src/page/state.ts", "src/plan/compile.ts"])); // for types only
});

Deno.test("the page's script is one module that imports nothing by a name that only a build resolves", () => {
  assertEquals(/\bimport\s*(?:[\w*{]|["'])/.exec(PAGE_SCRIPT), null);
  assert(PAGE_SCRIPT.length < 60_000); // it is loaded by every visitor
});
