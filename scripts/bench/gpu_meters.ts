/**
 * Meters of steps in Deno and in Chromium. Each is a process or a browser of its own, for a process has one device.
 */
import { createInterface } from "node:readline/promises";
import { Readable } from "node:stream";
import type { Page } from "playwright-core";
import { openBrowser } from "../../tests/browser/page_fixture.ts";
import { runtimeFile } from "../build/runtime_file.ts";
import type { StepMeter } from "./gpu_steps.ts";

/** A meter elsewhere. */
export interface Meter
  extends Pick<StepMeter, "calls" | "milliseconds" | "gpuMilliseconds" | "kernels" | "loop"> {
  close(): Promise<void>;
}

/** Asks a meter elsewhere; its answer is what the method returns. */
type Ask = (method: string, args: readonly unknown[]) => Promise<never>;

const HERE = new URL("./", import.meta.url);

/** A meter in a process of Deno. */
export async function denoMeter(root: URL, model: string, mode = "replay"): Promise<Meter> {
  const script = new URL("gpu_process.ts", HERE).pathname;
  const config = new URL("deno.json", root).pathname; // for packages that the checkout imports by name
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-lock", "--config", config, script, root.href, model, mode],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const lines = createInterface({ input: Readable.fromWeb(child.stdout as never) })
    [Symbol.asyncIterator]();
  return await Promise.resolve({
    ...asked(async (method, args) => {
      await writer.write(new TextEncoder().encode(`${JSON.stringify({ method, args })}\n`));
      for (let next = await lines.next(); !next.done; next = await lines.next()) {
        const [, answer] = /^answer (.*)$/.exec(next.value) ?? [];
        if (answer !== undefined) return JSON.parse(answer) as never; // as gpu_process.ts writes it
      }
      throw new Error(`Cannot measure ${model} in ${root.pathname}: its process ended.`);
    }),
    close: async () => {
      await writer.close();
      await child.status;
    },
  });
}

/** A meter in a page of Debian's Chromium, on SwiftShader. */
export async function chromiumMeter(root: URL, model: string, mode = "replay"): Promise<Meter> {
  const { page, close } = await openBenchPage({
    library: new URL("mod.ts", root),
    page: new URL("gpu_page.ts", HERE),
  });
  await page.evaluate(async ([model, mode]) => {
    const [library, page] = await Promise.all(
      ["library", "page"].map((name) => import(`${location.origin}/${name}.js`)),
    );
    Reflect.set(globalThis, "meter", await page.openMeter(library, model, mode));
  }, [model, mode] as const);
  return {
    ...asked((method, args) =>
      page.evaluate(
        ([method, args]) => Reflect.get(globalThis, "meter")[method](...args),
        [method, args] as const,
      ) as Promise<never> // what the method returns, through JSON
    ),
    close,
  };
}

/** A page of Debian's Chromium, with WebGPU on SwiftShader, that can import these modules: `/NAME.js`. */
export async function openBenchPage(
  modules: Readonly<Record<string, URL>>,
): Promise<{ readonly page: Page; close(): Promise<void> }> {
  const folder = await Deno.makeTempDir();
  for (const [name, entry] of Object.entries(modules)) await bundle(entry, `${folder}/${name}.js`);
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    ({ url }) => answer(folder, new URL(url).pathname.slice(1)),
  );
  const browser = await openBrowser(true);
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`http://127.0.0.1:${server.addr.port}/`);
  return {
    page,
    close: async () => {
      await browser.close();
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function asked(ask: Ask): Omit<Meter, "close"> {
  return {
    calls: (kind) => ask("calls", [kind]),
    milliseconds: (kind, count) => ask("milliseconds", [kind, count]),
    gpuMilliseconds: async (kind, count) =>
      await ask("gpuMilliseconds", [kind, count]) ?? undefined, // null as JSON
    kernels: async (kind) => await ask("kernels", [kind]) ?? undefined,
    loop: (rows) => ask("loop", [rows]),
  };
}

async function bundle(entry: URL, out: string): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "browser", "-o", out, entry.pathname],
    cwd: new URL("./", entry),
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot bundle ${entry.pathname}: see above`);
}

/** The page itself, a bundle, or a file of onnxruntime-web. */
async function answer(folder: string, name: string): Promise<Response> {
  if (name === "") {
    return new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
  }
  if (name === "favicon.ico") return new Response(null, { status: 204 });
  const path = name.startsWith("ort-") ? await runtimeFile(name) : `${folder}/${name}`;
  const type = name.endsWith(".wasm") ? "application/wasm" : "text/javascript";
  return new Response(await Deno.readFile(path), { headers: { "content-type": type } });
}
