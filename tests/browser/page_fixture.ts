/** A real browser on the real page of a real server: a model on wasm, fashion-dit unless another is asked for. */
import type { Browser, Page } from "playwright-core";
import { buildPage } from "../../scripts/build/page.ts";
import { type App, createApp } from "../../src/server/app.ts";
import type { AppOptions } from "../../src/server/app_options.ts";
import { directoryAssets } from "../../src/server/page_assets.ts";
import { openRemoteRenderer } from "../../src/worker/remote_renderer.ts";
import type { Renderer } from "../../src/worker/renderer.ts";
import { CHROMIUM } from "../_shim/requires.ts";
import { ROOT } from "../_shim/watched.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

/** The model of prompts. */
export const PEEPS: URL = new URL("models/peeps-flux/", ROOT);

/** A visit to the page. */
export interface Visit {
  /** The page. */
  readonly page: Page;
  /** Where it is, ending in `/`. */
  readonly url: string;
  /** The server's app. */
  readonly app: App;
  /** What draws on the server. */
  readonly renderer: Renderer;
  /** Bytes that the server sent as bodies, by path. */
  readonly sent: ReadonlyMap<string, number>;
  /** What the console said and what was thrown, each a line. */
  readonly complaints: string[];
}

/** How the page is visited. */
export interface VisitOptions {
  /** Of the server. */
  readonly app?: Partial<AppOptions>;
  /** Folder of the model, named as it is; fashion-dit's unless given. */
  readonly model?: URL;
  /** Whether the browser has WebGPU, in software. */
  readonly webgpu?: boolean;
  /** Threads of the server's wasm; 1 unless given. Sums depend on their number. */
  readonly threads?: number;
  /** Path under which a proxy has the server, with a slash at both ends; `/` unless given. */
  readonly path?: string;
}

const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
/** Milliseconds that anything may take: a step on SwiftShader takes seconds, on a machine that is busy ten times as many. */
export const PATIENCE_MS = 240_000;

/** Opens server, browser and page, and puts all of them away. */
export async function visit(
  options: VisitOptions,
  use: (visit: Visit) => Promise<void>,
): Promise<void> {
  await buildPage({ once: true });
  const { model = FASHION_DIT } = options;
  const renderer = await openRemoteRenderer({
    model: model.href,
    backend: "wasm",
    threads: options.threads ?? 1,
  });
  const assets = directoryAssets(new URL("dist/page/", ROOT), {
    [renderer.facts.id]: model,
  });
  const app = createApp({ renderers: [renderer], page: assets, ...options.app });
  await app.loaded;
  const { path = "/" } = options;
  const sent = new Map<string, number>();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => counted(await app.fetch(withoutPath(request, path)), request, sent),
  );
  const browser = await openBrowser(options.webgpu === true);
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const complaints: string[] = [];
    page.on("console", (message) => void complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", ({ message }) => void complaints.push(message));
    const url = `http://127.0.0.1:${server.addr.port}${path}`;
    await use({ page, url, app, renderer, sent, complaints });
  } finally {
    await browser.close();
    await server.shutdown();
    await renderer.close();
  }
}

/** What is done on the page in one visit, each by a name that says what is so. */
export type Steps = Readonly<Record<string, (opened: Visit) => Promise<void>>>;

/** Does one after the other in one visit; complaints are of each alone. */
export async function visitInSteps(
  test: Deno.TestContext,
  steps: Steps,
  options: VisitOptions = {},
): Promise<void> {
  await visit(options, async (opened) => {
    for (const [name, step] of Object.entries(steps)) {
      opened.complaints.length = 0;
      await test.step(name, () => step(opened));
    }
  });
}

/** The same answer, its bytes counted as they are sent. */
function counted(response: Response, { url }: Request, sent: Map<string, number>): Response {
  if (response.body === null) return response;
  const { pathname } = new URL(url);
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller): void {
      sent.set(pathname, (sent.get(pathname) ?? 0) + chunk.length);
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counter), response);
}

/** As a proxy hands a request on; what is not under its path gets nowhere. */
function withoutPath(request: Request, path: string): Request {
  const url = new URL(request.url);
  url.pathname = url.pathname.startsWith(path) ? url.pathname.slice(path.length - 1) : "/nowhere";
  return path === "/" ? request : new Request(url, request);
}

/** Opens the page as at a first visit, but for the engine's files, and waits until it can be used. */
export async function openPage(opened: Visit): Promise<void> {
  const { page, url } = opened;
  await page.goto("about:blank"); // what a page holds open is not cleared
  const session = await page.context().newCDPSession(page);
  const storageTypes = "local_storage,indexeddb";
  await session.send("Storage.clearDataForOrigin", { origin: new URL(url).origin, storageTypes });
  await session.detach();
  await openAgain(opened);
}

/** Opens the page as at a later visit, at a link where one is given. */
export async function openAgain({ page, url }: Visit, link = ""): Promise<void> {
  await page.goto("about:blank"); // a link alone loads nothing anew
  await page.goto(`${url}${link}`);
  await page.locator("#generate:enabled").waitFor();
}

/** The file that a click downloads. */
export async function download(
  page: Page,
  selector: string,
): Promise<{ readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }> {
  const [saved] = await Promise.all([
    page.waitForEvent("download"),
    page.locator(selector).click(),
  ]);
  return { name: saved.suggestedFilename(), bytes: await Deno.readFile(await saved.path()) };
}

/** The PNG of the stage, as it was drawn. */
export async function pngOf(page: Page): Promise<Uint8Array<ArrayBuffer>> {
  await page.locator("#enlargement").selectOption("1");
  return (await download(page, "#download")).bytes;
}

/** Opens the settings, which are closed at first on small screens. */
export async function openSettings(page: Page): Promise<void> {
  await page.evaluate("document.querySelector('#settings').open = true");
}

/** Draws so many steps of a seed and waits for the picture. */
export async function draw(
  page: Page,
  { seed, steps }: { readonly seed: number; readonly steps: number },
): Promise<void> {
  await openSettings(page);
  await page.locator("#steps").fill(`${steps}`);
  await page.locator("#seed").fill(`${seed}`);
  await page.locator("#generate").click();
  await untilStatus(page, new RegExp(`^${steps} steps? in `));
  await page.locator("#generate:enabled").waitFor();
}

/** Drops a file onto the page. */
export async function drop(
  page: Page,
  file: { readonly name: string; readonly type: string; readonly bytes: Uint8Array },
): Promise<void> {
  const { name, type } = file;
  const numbers = [...file.bytes];
  const transfer = await page.evaluateHandle(({ name, type, numbers }) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(numbers)], name, { type }));
    return transfer;
  }, { name, type, numbers });
  await page.dispatchEvent("#stage", "drop", { dataTransfer: transfer });
}

/** The text of an element. */
export async function textOf(page: Page, selector: string): Promise<string> {
  return await page.locator(selector).innerText();
}

/** Waits until the status line matches. */
export async function untilStatus(page: Page, pattern: RegExp): Promise<void> {
  await page.locator("#status").filter({ hasText: pattern }).waitFor();
}

/** Cancels a run as soon as its status is of a pattern, in the page itself: a click from here may come after its end. */
export async function cancelAt(page: Page, pattern: RegExp): Promise<void> {
  await page.locator("#status").evaluate((status, wanted) =>
    new Promise<void>((resolve) => {
      const look = (): void => {
        if (!new RegExp(wanted).test(status.textContent ?? "")) return;
        observer.disconnect();
        status.ownerDocument.querySelector<HTMLElement>("#cancel")?.click();
        resolve();
      };
      const observer = new MutationObserver(look);
      observer.observe(status, { childList: true, characterData: true, subtree: true });
      look();
    }), pattern.source);
}

/** A job of another client; its id. */
export async function otherJob(app: App, body: object): Promise<string> {
  const response = await app.request("/v1/jobs", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await response.json()).id;
}

/** How far a job is, by what the server tells. */
export async function jobOf(
  app: App,
  id: string,
): Promise<{ readonly state: string; readonly step: number }> {
  return await (await app.request(`/v1/jobs/${id}`)).json();
}

/** Waits, asking now and again, until something holds: what is waited for is another process's. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let asked = 0; asked < 1000; asked++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it never held");
}

/** Debian's Chromium; the caller closes it. */
export async function openBrowser(webgpu: boolean): Promise<Browser> {
  // Of all that playwright-core brings, `is-wsl` alone looks into /proc while it loads, for which Deno wants
  // every permission there is. Its own tests have this switch.
  Deno.env.set("__IS_WSL_TEST__", "1");
  const { chromium } = await import("playwright-core");
  Deno.env.delete("__IS_WSL_TEST__");
  const args = ["--no-sandbox", ...(webgpu ? WEBGPU : [])]; // containers have no user namespaces
  return await chromium.launch({ executablePath: CHROMIUM, args });
}
