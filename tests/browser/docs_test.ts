/** `/docs` in a browser: Swagger UI under the page's policy, from this server alone. */
import { assert, assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { buildPage } from "../../scripts/build/page.ts";
import { directoryAssets } from "../../src/server/page_assets.ts";
import { talkative, toyApp } from "../server/toy_renderer.ts";
import { requires } from "../_shim/requires.ts";
import { ROOT } from "../_shim/watched.ts";
import { openBrowser } from "./page_fixture.ts";

const needs = await requires("the API's reference in a browser", "chromium", "bundler");

Deno.test(
  "the API's reference is shown, and a route tried, from this server alone",
  needs,
  async () => {
    await buildPage({ once: true });
    const page = directoryAssets(new URL("dist/page/", ROOT));
    for (const path of ["/", "/draw/"]) {
      const app = await toyApp([talkative()], { page });
      const server = Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {} },
        (request) => app.fetch(new Request(request.url.replace(path, "/"), request)),
      );
      const browser = await openBrowser(false);
      try {
        const view = await browser.newPage({ viewport: { width: 1280, height: 800 } });
        const base = `http://127.0.0.1:${server.addr.port}${path}`;
        assertEquals(await tried(view, base), []);
      } finally {
        await browser.close();
        await server.shutdown();
      }
    }
  },
);

/** Opens the reference and tries a route; what was complained of, and what was asked elsewhere. */
async function tried(page: Page, base: string): Promise<readonly string[]> {
  const complaints: string[] = [];
  page.on("console", (message) => void complaints.push(message.text()));
  page.on("pageerror", ({ message }) => void complaints.push(message));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("data:")) complaints.push(url);
  });
  await page.goto(`${base}docs`);
  await page.locator("#operations-images-createImages").waitFor();
  const names = await page.locator(".opblock-summary-path").allInnerTexts();
  assert(names.length >= 18, `${names}`);
  const route = page.locator("#operations-images-createImages");
  await route.locator(".opblock-summary-control").click();
  await route.getByRole("button", { name: "Try it out" }).click();
  await route.getByRole("button", { name: "Execute" }).click();
  await route.locator(".live-responses-table .response-col_status", { hasText: "200" }).waitFor();
  for (const width of [320, 390, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    assert(Number(wide) <= 0, `${wide} pixels too wide at ${width}`);
  }
  return complaints;
}
