/**
 * Builds the page into a folder of static files and serves it.
 *
 *     deno run -A examples/browser/build.ts   # http://127.0.0.1:8000/
 *
 * @module
 */

import "onnxruntime-web/wasm"; // has the files that are copied below
import { EMBEDDED_MODEL } from "@invardiff/edge";

const HERE = new URL("./", import.meta.url);
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  mjs: "text/javascript",
  wasm: "application/wasm",
};

/** Writes script, page, the model and onnxruntime-web's own files. */
export async function build(folder: URL): Promise<void> {
  const main = new URL("main.ts", HERE).pathname;
  const output = new URL("main.js", folder).pathname;
  const args = ["bundle", "--quiet", "--platform", "browser", "--output", output, main];
  await Deno.mkdir(new URL("ort/", folder), { recursive: true });
  const { success } = await new Deno.Command(Deno.execPath(), { args, cwd: HERE }).output();
  if (!success) throw new Error("Cannot bundle the page.");
  await Deno.copyFile(new URL("index.html", HERE), new URL("index.html", folder));
  await copyFolder(EMBEDDED_MODEL, new URL("model/", folder));
  for (const name of ["", ".jspi", ".asyncify"].map((kind) => `ort-wasm-simd-threaded${kind}`)) {
    for (const file of [`${name}.mjs`, `${name}.wasm`]) {
      const from = new URL(import.meta.resolve(`onnxruntime-web/${file}`));
      await Deno.copyFile(from, new URL(`ort/${file}`, folder));
    }
  }
}

/** Copies a model with all of its parts. */
async function copyFolder(from: URL, to: URL): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const [source, target] = [from, to].map((folder) => new URL(name, folder));
    if (isDirectory) await copyFolder(new URL(`${source}/`), new URL(`${target}/`));
    else await Deno.copyFile(source!, target!); // there are two
  }
}

/** Serves a folder; isolated from other origins, so that WebAssembly has threads. */
export function serve(folder: URL, port: number): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port, hostname: "127.0.0.1" }, async ({ url }) => {
    const path = new URL(url).pathname.replace(/\/$/, "/index.html");
    const file = await Deno.readFile(new URL(`.${path}`, folder)).catch(() => undefined);
    const headers = {
      "content-type": TYPES[path.split(".").at(-1)!] ?? "application/octet-stream", // never empty
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    };
    return new Response(file ?? null, { status: file === undefined ? 404 : 200, headers });
  });
}

if (import.meta.main) {
  const folder = new URL("../../dist/example/", import.meta.url);
  await build(folder);
  serve(folder, 8000);
}
