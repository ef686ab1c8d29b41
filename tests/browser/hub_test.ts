/** Files of a hub in Debian's Chromium. */
import { assertEquals, assertMatch } from "@std/assert";
import { fileOfBytes, startFakeHub } from "../assets/hub/fake_hub.ts";
import { numbered } from "../assets/hub/hub_fixture.ts";
import { withBundle } from "../_shim/bundled.ts";
import { requires } from "../_shim/requires.ts";
import type { PageResult } from "./hub_in_page.ts";
import { openBrowser } from "./page_fixture.ts";

const needs = await requires("downloads in a browser", "chromium", "bundler");
const FILE = fileOfBytes(numbered(9 << 20), "large");

Deno.test(
  "a browser keeps files of a hub in its cache, and keeps the token to the hub",
  needs,
  async () => {
    await using hub = startFakeHub({ files: { "a.bin": FILE } });
    hub.troubles.push({ kind: "cut", after: 5 << 20 });
    await withBundle(new URL("hub_in_page.ts", import.meta.url), async (path) => {
      const script = await Deno.readTextFile(path);
      hub.intercept = ({ url }) =>
        new URL(url).pathname === "/"
          ? new Response(`<script type="module">${script}</script>`, {
            headers: { "content-type": "text/html" },
          })
          : undefined;
      const browser = await openBrowser(false);
      try {
        const page = await browser.newPage();
        const results: PageResult[] = [];
        for (let visit = 0; visit < 2; visit++) {
          await page.goto(hub.endpoint.href);
          results.push(
            await page.evaluate(async (endpoint) => {
              const { readFrom } = globalThis as unknown as { // the page's script put it there
                readonly readFrom: (endpoint: string) => Promise<PageResult>;
              };
              return await readFrom(endpoint);
            }, hub.endpoint.href),
          );
        }
        const bytes = FILE.read(1000, FILE.size - 1000);
        const sum = bytes.reduce((sum, byte) => (sum * 31 + byte) % 1_000_003, 7);
        assertEquals(results.map(({ keptIn, sum }) => [keptIn, sum]), [
          ["the browser's cache", sum],
          ["the browser's cache", sum],
        ]);
      } finally {
        await browser.close();
      }
    });
    const elsewhere = hub.requests.filter(({ host }) => host === "cdn");
    assertEquals(elsewhere.filter(({ authorization }) => authorization !== null), []);
    // A cut may take with it what the browser had not handed out yet.
    assertEquals(elsewhere.length, 2);
    assertEquals(elsewhere[0]?.range, `bytes=0-${FILE.size - 1}`);
    assertMatch(elsewhere[1]?.range ?? "", /^bytes=[1-9]\d*-9437183$/);
  },
);
