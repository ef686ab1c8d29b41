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
import { DOCS_SCRIPT, DOCS_STYLE, renderDocs, VIEWER_SCRIPT } from "./docs_page.ts";
import { GzipStore } from "./gzip_store.ts";
import { type PageAsset, type PageAssets, textAsset } from "./page_assets.ts";
import { PAGE_SCRIPT } from "./page_script.ts";
import type { OpenApiDocument } from "./openapi.ts";
import { ORIGIN } from "./origin.ts";
import { RequestError } from "./request_error.ts";
import { sendFile } from "./send_file.ts";

const HTML = "text/html; charset=utf-8";

/** What a page of ours may do: nothing inline, nothing from elsewhere, WebAssembly. */
const MAY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
];
/** Makes the page a world of its own, which threads of WebAssembly need; pages of some origins may frame it. */
function headersOf(frameOrigins: readonly string[]): Readonly<Record<string, string>> {
  for (const origin of frameOrigins) {
    if (ORIGIN.test(origin)) continue;
    const wanted = "an origin such as https://example.com";
    throw new TypeError(
      `Cannot serve the page: frameOrigins must be ${wanted}: current value is ${origin}`,
    );
  }
  const framed = frameOrigins.length > 0;
  const ancestors = framed ? frameOrigins.join(" ") : "'none'";
  return {
    "content-security-policy": [...MAY, `frame-ancestors ${ancestors}`].join("; "),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": framed ? "cross-origin" : "same-origin", // of a page that is isolated, too
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  };
}

/** Names that carry a digest of their content, as the bundler makes them; and files of a version. */
const IMMUTABLE = /-[A-Z0-9]{8}\.js$|^(?:ort|swagger-ui)-[\d.]+\//;

/** What the page is served with. */
export interface PageOptions {
  /** Without them the page generates on the server only. */
  readonly assets?: PageAssets | undefined;
  /** Origins whose pages may show it in a frame. */
  readonly frameOrigins: readonly string[];
  /** Whether compressed files can be kept between requests. */
  readonly keeps: boolean;
  /** What `/docs` shows. */
  readonly document: OpenApiDocument;
}

/** `/`, `/docs` and `/page/…`. */
export function pageRoutes({ assets, frameOrigins, keeps, document }: PageOptions): Hono {
  const app = new Hono();
  const common = headersOf(frameOrigins);
  const shell = renderShell({ version: VERSION, browserModels: assets?.models ?? [] });
  const own = new Map<string, PageAsset>([
    ["style.css", textAsset(STYLE, "text/css; charset=utf-8")],
    ["icon.svg", textAsset(ICON, "image/svg+xml")],
    ["main.js", textAsset(PAGE_SCRIPT, "text/javascript; charset=utf-8")],
    ["docs.css", textAsset(DOCS_STYLE, "text/css; charset=utf-8")],
    ["docs.js", textAsset(DOCS_SCRIPT, "text/javascript; charset=utf-8")],
  ]);
  const page = textAsset(shell, HTML);
  const zipped = new GzipStore();
  const send = async (context: Context, name: string, asset: PageAsset): Promise<Response> => {
    const caching = IMMUTABLE.test(name) ? "public, max-age=31536000, immutable" : "no-cache";
    const headers = { ...common, "cache-control": caching };
    const zip = (): Promise<Uint8Array<ArrayBuffer>> => zipped.read(name, asset);
    return await sendFile(context, asset, { headers, ...(keeps && { zip }) });
  };
  app.get("/", (context) => send(context, "", page));
  app.get("/docs", async (context) => {
    if (new URL(context.req.url).pathname.endsWith("/")) return context.redirect("../docs", 308);
    const found = await assets?.read(VIEWER_SCRIPT);
    if (found?.body instanceof ReadableStream) await found.body.cancel();
    const docs = textAsset(renderDocs(document, { viewer: found !== undefined }), HTML);
    return await send(context, "docs", docs);
  });
  app.get("/page/*", async (context) => {
    const name = context.req.path.slice("/page/".length);
    const asset = await assets?.read(name) ?? own.get(name);
    if (asset === undefined) throw notFound(name);
    return await send(context, name, asset);
  });
  return app;
}

function notFound(name: string): RequestError {
  return new RequestError(`Cannot send ${name.slice(0, 100)}: the page has no such file`, {
    status: 404,
    code: "not_found",
  });
}
