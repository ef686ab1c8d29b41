/**
 * A Hono app that has the image server under `/draw`, beside routes of its own.
 *
 *     deno run -A examples/hono/main.ts
 *     curl http://127.0.0.1:8000/draw/v1/images/generations -H 'content-type: application/json' \
 *       -d '{"prompt": "a person with a hat", "seed": 3}'
 *
 * @module
 */

import { Hono } from "hono";
import { type AppOptions, createApp, openRemoteRenderer } from "@invardiff/edge/server";

const PORT = 8000;
const PATH = "/draw";

/** The app over renderers that may still be loading; until they are there, the server answers 503. */
export function makeApp(renderers: AppOptions["renderers"]): Hono {
  const images = createApp({ renderers, publicUrl: `http://127.0.0.1:${PORT}${PATH}/` });
  const app = new Hono();
  app.get("/", (context) => context.text(`The server and its page are at ${PATH}/`));
  app.mount(PATH, images.fetch);
  return app;
}

if (import.meta.main) {
  const renderers = openRemoteRenderer().then((renderer) => [renderer]); // in a worker
  Deno.serve({ port: PORT, hostname: "127.0.0.1" }, makeApp(renderers).fetch);
}
