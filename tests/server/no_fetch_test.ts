import { assertEquals } from "@std/assert";
import { encodePng } from "../../src/image/png.ts";
import { post, talkative, toyApp, ToyRenderer } from "./toy_renderer.ts";

Deno.test("no URL that a client sends is ever fetched, wherever it stands", async () => {
  const asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    asked.push(url);
    return new Response("secret");
  });
  const url = `http://127.0.0.1:${server.addr.port}/secret.png`;
  const { fetch } = globalThis;
  globalThis.fetch = (input, init) => {
    asked.push(`${input}`);
    return fetch(input, init);
  };
  try {
    for (const app of [await toyApp([new ToyRenderer()]), await toyApp([talkative()])]) {
      const names = "prompt image image_url mask model plan response_format user background".split(
        " ",
      );
      for (const name of [...names, "webhook", "callback_url", "input_image", "size"]) {
        for (const value of [url, [url], { url }, { image_url: url }]) {
          const body = { prompt: "sneaker", steps: 1, [name]: value };
          for (const path of ["/v1/images/generations", "/v1/jobs", "/v1/images/edits"]) {
            await (await post(app, path, body)).body?.cancel();
          }
        }
        const png = await encodePng({
          width: 6,
          height: 4,
          channels: 1,
          pixels: new Uint8Array(24),
        });
        const form = new FormData();
        form.append("prompt", "sneaker");
        if (name !== "image") form.append("image", new Blob([new Uint8Array(png)]), url);
        form.append(name, url);
        const edited = await app.request("/v1/images/edits", { method: "POST", body: form });
        await edited.body?.cancel();
      }
      const link = new TextEncoder().encode(`<svg><image href="${url}"/></svg>`);
      const form = new FormData();
      form.append("prompt", "sneaker");
      form.append("image", new Blob([link], { type: "image/svg+xml" }), "a.svg");
      const edited = await app.request("/v1/images/edits", { method: "POST", body: form });
      await edited.body?.cancel();
      assertEquals(edited.status, 400);
      for (const path of [`/${url}`, `/v1/images/${encodeURIComponent(url)}`, `/v1/plans/${url}`]) {
        await (await app.request(path, { headers: { referer: url, origin: url } })).body?.cancel();
      }
      await app.drain();
    }
    assertEquals(asked, []);
  } finally {
    globalThis.fetch = fetch;
    await server.shutdown();
  }
});
