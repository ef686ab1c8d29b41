/** The example of a Hono app. */
import { assertEquals } from "@std/assert";
import { makeApp } from "../../examples/hono/main.ts";
import { openLocalRenderer } from "../../src/server/mod.ts";
import { json } from "../edge/client.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

Deno.test("the example's app has its own routes and the server's under /draw", async () => {
  const renderer = await openLocalRenderer({ model: FASHION_DIT, backend: "wasm", threads: 1 });
  try {
    const app = makeApp([renderer]);
    assertEquals(await (await app.request("/")).text(), "The server and its page are at /draw/");
    assertEquals((await app.request("/v1/models")).status, 404);
    const models = await (await app.request("/draw/v1/models")).json();
    assertEquals(models.data[0].id, "fashion-dit");
    const body = { prompt: "a sneaker", seed: 3, steps: 2, response_format: "url" };
    const answer = await app.request("/draw/v1/images/generations", json(body));
    const { data: [{ url }] } = await answer.json();
    const { pathname } = new URL(url);
    const picture = await app.request(pathname);
    assertEquals([picture.status, picture.headers.get("content-type")], [200, "image/png"]);
    await picture.body?.cancel();
  } finally {
    await renderer.close();
  }
});
