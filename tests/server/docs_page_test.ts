/** `/docs`: the API's reference, with the viewer where there is one. */
import { assert, assertEquals } from "@std/assert";
import type { PageAsset, PageAssets } from "../../src/server/page_assets.ts";
import { VIEWER_SCRIPT } from "../../src/server/docs_page.ts";
import { toyApp } from "./toy_renderer.ts";

Deno.test("the reference has every route and field, without a script, a build or a key", async () => {
  const app = await toyApp(undefined, { apiKeys: ["a-key-of-sixteen-letters"] });
  const response = await app.request("/docs");
  const html = await response.text();
  assertEquals([response.status, response.headers.get("content-type")], [
    200,
    "text/html; charset=utf-8",
  ]);
  assert(response.headers.get("content-security-policy")?.startsWith("default-src 'none'"));
  assert(!/<script|style=|https?:\/\//.test(html));
  const { paths, components } = await (await app.request("/openapi.json")).json();
  for (const [path, methods] of Object.entries<Record<string, { operationId: string }>>(paths)) {
    for (const [method, { operationId }] of Object.entries(methods)) {
      assert(html.includes(`id="${operationId}"`), operationId);
      assert(html.includes(`<code>${method.toUpperCase()} ${path}</code>`), path);
    }
  }
  for (const name of ["images", "edits", "job"]) {
    for (const field of Object.keys(components.schemas[name].properties)) {
      assert(html.includes(`<dt>${field}</dt>`), field);
    }
  }
  for (const name of html.matchAll(/href="page\/([^"]+)"/g)) {
    const file = await app.request(`/page/${name[1]}`);
    await file.body?.cancel();
    assertEquals(file.status, 200, name[1]);
  }
});

Deno.test("the page leads to the reference, and the reference back", async () => {
  const app = await toyApp();
  const links = async (path: string): Promise<readonly string[]> => {
    const html = await (await app.request(path)).text();
    return [...html.matchAll(/<a href="([^"#]+)"/g)].map(([, href]) => href!);
  };
  assert((await links("/")).includes("docs"));
  assertEquals(await links("/docs"), ["./", "openapi.json"]);
});

Deno.test("where a build has the viewer the reference loads it, by names that hold under any path", async () => {
  const script = "SwaggerUIBundle";
  const asset = (): PageAsset => {
    const body = new Blob([script]).stream();
    return { body, size: script.length, type: "text/javascript; charset=utf-8", etag: '"1"' };
  };
  const page: PageAssets = {
    models: [],
    read: (name) => Promise.resolve(name === VIEWER_SCRIPT ? asset() : undefined),
  };
  const app = await toyApp(undefined, { page });
  const html = await (await app.request("/docs")).text();
  const sources = [...html.matchAll(/<script src="([^"]+)" defer><\/script>/g)].map(([, src]) =>
    src
  );
  assertEquals(sources, [`page/${VIEWER_SCRIPT}`, "page/docs.js"]);
  const viewer = await app.request(`/page/${VIEWER_SCRIPT}`);
  assertEquals(viewer.headers.get("cache-control"), "public, max-age=31536000, immutable");
  assertEquals(await viewer.text(), script);
  const asked = await app.request("http://localhost/docs/");
  assertEquals([asked.status, asked.headers.get("location")], [308, "../docs"]);
});
