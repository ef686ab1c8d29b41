import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { digestOf } from "../../../scripts/build/page.ts";
import { findImports } from "../../../scripts/check/scan_source.ts";
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
  assertEquals(findImports(PAGE_SCRIPT), []); // in code: what it shows people to write may import
  assert(/\bimport\(/.test(PAGE_SCRIPT), "the engine, by an address that it computes");
});

Deno.test("a clone that cannot be written to serves without the engine for the browser, and says so in a line", async () => {
  const clone = await Deno.makeTempDir();
  try {
    for (const name of ["deno.json", "deno.lock", "src", "scripts"]) {
      await new Deno.Command("cp", { args: ["-r", name, clone] }).output();
    }
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args:
        "run --lock=deno.lock --no-prompt --allow-read --allow-run --allow-env scripts/build/page.ts --once"
          .split(" "), // nothing that it may write
      cwd: clone,
      env: { NO_COLOR: "1" },
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertEquals([code, said.trim().split("\n").length], [0, 1], said);
    assertMatch(said, /^the page draws on the server only: dist\/page cannot be built \(.*\)\n$/);
  } finally {
    await Deno.remove(clone, { recursive: true });
  }
});
