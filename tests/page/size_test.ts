import { assert } from "@std/assert";
import { VERSION } from "../../src/version.ts";
import { ICON, renderShell } from "../../src/page/shell.ts";
import { STYLE } from "../../src/page/style.ts";
import { PAGE_SCRIPT } from "../../src/server/page_script.ts";

/** What a visitor loads before anything is drawn in the browser; a bound, of which a third is used. */
const MOST_BYTES = 90_000;

Deno.test("the page without its engine is at most 90 kB, compressed", async () => {
  const shell = renderShell({ version: VERSION, browserModels: ["a"] });
  const sizes = await Promise.all([shell, STYLE, ICON, PAGE_SCRIPT].map(compressedSize));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert(total <= MOST_BYTES, `${total} bytes: ${sizes}`);
});

async function compressedSize(text: string): Promise<number> {
  const gzip = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(gzip).arrayBuffer()).byteLength;
}
