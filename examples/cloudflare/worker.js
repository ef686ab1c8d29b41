/**
 * A Cloudflare worker that has the image server and a route of its own, which draws a prompt.
 *
 *     deno task build:edge dist/worker/ examples/cloudflare/worker.js
 *     cd dist/worker && npx wrangler deploy
 *
 * The build puts onnxruntime's WebAssembly, and that of the decoders of pictures to edit, beside the script and the
 * model, in parts, into the assets.
 *
 * @module
 */

// @ts-ignore the build puts it there
import compiled from "./ort.wasm";
// @ts-ignore as above
import jpeg from "./jpeg.wasm";
// @ts-ignore as above
import webp from "./webp.wasm";
import { serveWorker } from "@invardiff/edge/cloudflare";

const server = serveWorker(compiled, { decoders: { jpeg, webp } });
const PROMPT = "a person with curly hair, sunglasses and a green shirt, light blue background";
const STEPS = 8; // a worker has seconds of CPU time, and one thread

export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    if (url.pathname !== "/avatar.png") return await server.fetch(request, env, context);
    const headers = new Headers(request.headers); // with the client's key, if one is needed
    headers.set("content-type", "application/json");
    const seed = Number(url.searchParams.get("seed") ?? 0);
    const prompt = url.searchParams.get("prompt") ?? PROMPT;
    const body = JSON.stringify({ prompt, seed, steps: STEPS });
    const asked = new Request(new URL("/v1/images/generations", url), {
      method: "POST",
      headers,
      body,
    });
    const answer = await server.fetch(asked, env, context);
    if (!answer.ok) return answer;
    const { data: [{ b64_json }] } = await answer.json();
    const png = Uint8Array.from(atob(b64_json), (char) => char.charCodeAt(0));
    return new Response(png, { headers: { "content-type": "image/png" } });
  },
};
