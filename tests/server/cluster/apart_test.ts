/** A shared queue is apart: who does not ask for it loads nothing of it. */
import { assert, assertEquals } from "@std/assert";
import { findImports } from "../../../scripts/check/scan_source.ts";
import { ROOT } from "../../_shim/watched.ts";

/** What others begin from: the library, `generate`, pages, workers, the edge's builds, one's own server. */
const ENTRIES = [
  ...["mod.ts", "src/cli/generate.ts", "src/page/main.ts", "src/page/engine.ts"],
  ...["src/worker/entry.ts", "src/edge/workers.ts", "src/edge/deno.ts", "src/edge/bun.ts"],
  "src/server/mod.ts",
];

Deno.test("nothing of a shared queue is imported by the library, generate, pages, edge builds and servers", async () => {
  for (const entry of ENTRIES) {
    const modules = await modulesOf(new URL(entry, ROOT));
    assert(modules.length > 10, entry);
    assertEquals(modules.filter((path) => path.includes("/server/cluster/")), [], entry);
  }
  const { pathname } = new URL("src/server/cluster/queue_at.ts", ROOT);
  const serve = await modulesOf(new URL("src/cli/serve.ts", ROOT));
  assert(serve.includes(pathname), "serve does, when it is asked for one");
});

/** Paths of all modules that one imports, at once or later. */
async function modulesOf(entry: URL): Promise<readonly string[]> {
  const found = new Set<string>();
  const waiting = [entry];
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    if (found.has(url.pathname)) continue;
    found.add(url.pathname);
    for (const { specifier } of findImports(await Deno.readTextFile(url))) {
      if (/^\.{1,2}\/.*\.ts$/.test(specifier)) waiting.push(new URL(specifier, url));
    }
  }
  return [...found];
}
