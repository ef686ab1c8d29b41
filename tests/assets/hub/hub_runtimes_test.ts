/** Node and Bun keep what Deno keeps. */
import { assertEquals, assertMatch } from "@std/assert";
import { fileOfBytes, startFakeHub } from "./fake_hub.ts";
import { findBun, withBundle } from "../../_shim/bundled.ts";
import { requires } from "../../_shim/requires.ts";
import { numbered } from "./hub_fixture.ts";

const FILE = fileOfBytes(numbered(3 << 20), "large");
const SCRIPT = new URL("hub_process.ts", import.meta.url);

const STARTS = { node: () => Promise.resolve("node"), bun: findBun } as const;

for (const name of ["node", "bun"] as const) {
  const needs = await requires(`downloads in ${name}`, name, "packages", "bundler");
  Deno.test(`${name} goes on after a cut, and finds in its cache what it kept`, needs, async () => {
    await using hub = startFakeHub({ files: { "a.bin": FILE } });
    hub.troubles.push({ kind: "cut", after: 2 << 20 });
    const folder = await Deno.makeTempDir();
    try {
      await withBundle(SCRIPT, async (path) => {
        for (let time = 0; time < 2; time++) {
          const { success } = await new Deno.Command(await STARTS[name](), {
            args: [path, "hf://owner/name", "a.bin"],
            env: { HF_ENDPOINT: hub.endpoint.origin, HF_TOKEN: "x", INVARDIFF_CACHE: folder },
            stderr: "inherit",
            stdout: "null",
          }).output();
          assertEquals(success, true);
        }
      });
      const bytes = await Deno.readFile(`${folder}/blobs/sha256-${FILE.sha256}`);
      assertEquals(bytes, FILE.read(0, FILE.size));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    const bodies = hub.requests.filter(({ host }) => host === "cdn");
    // A cut may take with it what the runtime had not handed out yet.
    assertEquals(bodies.map(({ authorization }) => authorization), [null, null]);
    assertEquals(bodies[0]?.range, `bytes=0-${FILE.size - 1}`);
    assertMatch(bodies[1]?.range ?? "", /^bytes=[1-9]\d*-/);
  });
}
