/**
 * The playground page: its shell, its style, its script, and where there is a build the engine for the browser.
 *
 * The script is bundled into the package (`page_script.ts`), so the page is there wherever the package is:
 * imported from a registry, on an edge worker, without a build. Only the engine for the browser, tens of
 * megabytes of onnxruntime-web and weights, needs the folder that `deno task build:page` makes.
 */

import { type Context, Hono } from "npm:hono@4.13.19";
import { VERSION } from "../version.ts";
import { ICON, renderShell } from "../page/shell.ts";
import { STYLE } from "../page/style.ts";
import { type PageAsset, type PageAssets, textAsset } from "./page_assets.ts";
import { PAGE_SCRIPT } from "./page_script.ts";
import { RequestError } from "./request_error.ts";

/** What a page of ours may do: nothing inline, nothing from elsewhere, WebAssembly. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Makes the page a world of its own, which threads of WebAssembly need. */
const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/** Names that carry a digest of their content, as the bundler makes them; and files of a version. */
const IMMUTABLE = /-[A-Z0-9]{8}\.js$|^ort-[\d.]+\//;

/** `/` and `/page/…`. Without assets the page generates on the server only. */
export function pageRoutes(assets?: PageAssets): Hono {
  const app = new Hono();
  const shell = renderShell({ version: VERSION, browserModels: assets?.models ?? [] });
  const own = new Map<string, PageAsset>([
    ["style.css", textAsset(STYLE, "text/css; charset=utf-8")],
    ["icon.svg", textAsset(ICON, "image/svg+xml")],
    ["main.js", textAsset(PAGE_SCRIPT, "text/javascript; charset=utf-8")],
  ]);
  const page = textAsset(shell, "text/html; charset=utf-8");
  app.get("/", (context) => send(context, page, "no-cache"));
  app.get("/page/*", async (context) => {
    const name = context.req.path.slice("/page/".length);
    const asset = await assets?.read(name) ?? own.get(name);
    if (asset === undefined) throw notFound(name);
    const caching = IMMUTABLE.test(name) ? "public, max-age=31536000, immutable" : "no-cache";
    return await send(context, asset, caching);
  });
  return app;
}

async function send(context: Context, asset: PageAsset, caching: string): Promise<Response> {
  const { body, size, type, etag } = asset;
  const headers = { ...HEADERS, "content-type": type, etag, "cache-control": caching };
  if (matches(context.req.header("if-none-match"), etag)) {
    if (body instanceof ReadableStream) await body.cancel();
    return context.body(null, 304, headers);
  }
  const sized = { ...headers, "x-file-size": `${size}` };
  if (context.req.method !== "HEAD") return context.body(body, 200, sized);
  if (body instanceof ReadableStream) await body.cancel();
  return context.body(null, 200, { ...sized, "content-length": `${size}` });
}

/** *Source:* RFC 9110, 13.1.2: a weak comparison; a compressing proxy weakens what we sent. */
function matches(header: string | undefined, etag: string): boolean {
  return header?.split(",").some((each) => each.trim().replace(/^W\//, "") === etag) ?? false;
}

function notFound(name: string): RequestError {
  return new RequestError(`Cannot send ${name.slice(0, 100)}: the page has no such file`, {
    status: 404,
    code: "not_found",
  });
}
