/** The example of a page that draws by itself. */
import { assertEquals, assertMatch } from "@std/assert";
import { decode } from "fast-png";
import { build, serve } from "../../examples/browser/build.ts";
import { openPipeline } from "../../mod.ts";
import { requires } from "../_shim/requires.ts";
import { openBrowser } from "../browser/page_fixture.ts";

const PATIENCE_MS = 240_000; // takes 5 s on a free core

Deno.test({
  ...await requires("the example of a page", "chromium", "bundler"),
  name: "the example's page draws in the browser what the library draws here",
  fn: async () => {
    const folder = new URL(`file://${await Deno.makeTempDir()}/`);
    await build(folder);
    const server = serve(folder, 0);
    const browser = await openBrowser(false);
    try {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on("pageerror", ({ message }) => void complaints.push(message));
      await page.goto(`http://127.0.0.1:${server.addr.port}/`);
      const status = page.locator("#status").filter({ hasText: " s, plan " });
      await status.waitFor({ timeout: PATIENCE_MS });
      assertMatch(await status.innerText(), /^[\d.]+ s, plan none$/);
      const png = await page.evaluate(async () => {
        const { src } = document.querySelector<HTMLImageElement>("#picture")!; // the page has it
        return [...new Uint8Array(await (await fetch(src)).arrayBuffer())];
      });
      assertEquals(decode(Uint8Array.from(png)).data, decode(await ourPicture()).data);
      assertEquals(complaints, []);
    } finally {
      await browser.close();
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

async function ourPicture(): Promise<Uint8Array> {
  const pipeline = await openPipeline({ backend: "wasm" }); // on as many threads as the page, which has all cores
  const prompt = "a person with curly hair, sunglasses and a green shirt, light blue background";
  const { pictures } = await pipeline.generate({ prompt, seed: 7, steps: 8 });
  const png = await pictures[0]!.png();
  await pipeline.close();
  return png;
}
