/**
 * Builds the worker for Cloudflare and other hosts of workerd into `dist/worker`: script, WebAssembly, the
 * model in parts as static assets, and the deploy configuration. Then says how large they are.
 *
 * Run: `deno task build:edge [folder] [entry] [model]`, from the root; the entry is a module of your own, such as
 * `examples/cloudflare/worker.js`, the model a directory. Exits with 1 when something is larger than the host takes.
 */

import { gzipSync } from "node:zlib";
import { dirname } from "node:path";
import { runtimeFile } from "./runtime_file.ts";
import { modelFiles } from "../../src/assets/model_files.ts";
import { PARTS_INDEX, type PartsIndex } from "../../src/assets/parted_source.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { EMBEDDED_MODEL } from "../../src/engine/embedded_model.ts";

const ROOT = new URL("../../", import.meta.url);
/** Where weights go, these go too. */
const MODEL_NOTICES = /^(?:NOTICE|LICENSE|DATA-LICENSE)/;
/** Half a MiB: what is held while weights are read; a block of fashion-dit is 1.3 MB. */
const PART_BYTES = 1 << 19;
/** Cloudflare's limits: script and modules gzipped (paid plan), one static asset. */
const MAX_SCRIPT_GZ = 10 * 2 ** 20;
const MAX_ASSET = 25 * 2 ** 20;

/** The worker that is the server and nothing else. */
const OWN_ENTRY = new URL("worker.js", import.meta.url);

/** What was built, in bytes. */
export interface EdgeBuild {
  /** Gzipped size of each module of the script. */
  readonly scriptGz: Readonly<Record<string, number>>;
  /** Size of each static asset. */
  readonly assets: Readonly<Record<string, number>>;
}

/** What is built. */
export interface EdgeOptions {
  /** A module that serves more than the server does; the server alone unless given. */
  readonly entry?: URL | undefined;
  /** Directory of the model; the package's own unless given. */
  readonly model?: URL | undefined;
}

/** Builds into a folder, which is emptied first. */
async function buildEdge(
  folder: URL,
  { entry, model = EMBEDDED_MODEL }: EdgeOptions = {},
): Promise<EdgeBuild> {
  await Deno.remove(folder, { recursive: true }).catch(() => {}); // it may not be there
  const assets = new URL("assets/model/", folder);
  await Deno.mkdir(assets, { recursive: true });
  const script = new URL("script/", folder);
  await Deno.mkdir(script);
  await bundle(new URL("worker.js", script), entry);
  for (const [name, file] of Object.entries(await binaries())) {
    await Deno.copyFile(file, new URL(name, script));
  }
  await Deno.writeTextFile(new URL("wrangler.jsonc", folder), WRANGLER);
  const sizes = await cutModel(model, assets);
  const scriptGz: Record<string, number> = {};
  for await (const { name } of Deno.readDir(script)) {
    scriptGz[name] = gzipSync(await Deno.readFile(new URL(name, script)), { level: 9 }).length;
  }
  return { scriptGz, assets: sizes };
}

/** WebAssembly that entries import from beside them, by name, and where it is. */
async function binaries(): Promise<Readonly<Record<string, URL>>> {
  return {
    "ort.wasm": await runtimeFile("ort-wasm-simd-threaded.wasm"),
    "jpeg.wasm": packageFile("@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm"),
    "webp.wasm": packageFile("@jsquash/webp/codec/dec/webp_dec.wasm"),
  };
}

function packageFile(name: string): URL {
  return new URL(import.meta.resolve(name));
}

/** What workerd cannot compile: encoders of JPEG and WebP. */
const ENCODERS = ["npm:@jsquash/jpeg@*/encode.js", "npm:@jsquash/webp@*/encode.js"];

/** Bundles the entry; its WebAssembly stays a module of its own. */
async function bundle(output: URL, entry: URL = OWN_ENTRY): Promise<void> {
  const external = ["*.wasm", ...ENCODERS].flatMap((name) => ["--external", name]);
  const config = ["--config", new URL("deno.json", ROOT).pathname];
  const options = ["--quiet", "--platform", "browser", "--minify", ...config, ...external];
  const args = ["bundle", ...options, "--output", output.pathname, entry.pathname];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
  if (!success) throw new Error(`Cannot bundle the worker: ${new TextDecoder().decode(stderr)}`);
}

/** Writes the model's files in parts, and their index. */
async function cutModel(model: URL, folder: URL): Promise<Record<string, number>> {
  const files: Record<string, number> = {};
  const written: Record<string, number> = {};
  const write = async (name: string, bytes: Uint8Array): Promise<void> => {
    written[name] = bytes.length;
    await Deno.mkdir(new URL(`${dirname(name)}/`, folder), { recursive: true });
    await Deno.writeFile(new URL(name, folder), bytes);
  };
  for (const name of await modelFiles(openDirectory(model))) {
    const bytes = await Deno.readFile(new URL(name, model));
    files[name] = bytes.length;
    for (let i = 0; i * PART_BYTES < bytes.length; i++) {
      await write(`${name}.${i}`, bytes.subarray(i * PART_BYTES, (i + 1) * PART_BYTES));
    }
  }
  for await (const { name } of Deno.readDir(model)) {
    if (MODEL_NOTICES.test(name)) await write(name, await Deno.readFile(new URL(name, model)));
  }
  const index: PartsIndex = { format: 1, partBytes: PART_BYTES, files };
  await write(PARTS_INDEX, new TextEncoder().encode(JSON.stringify(index)));
  return written;
}

/** The deploy configuration: `npx wrangler deploy` in the folder. */
const WRANGLER = `{
  "name": "invardiff",
  "main": "script/worker.js",
  "compatibility_date": "2026-04-01",
  "compatibility_flags": ["enable_request_signal"], // who leaves cancels
  "no_bundle": true, // it is one already
  "assets": { "directory": "assets", "binding": "ASSETS", "run_worker_first": true },
  "limits": { "cpu_ms": 60000 }
  // Keys: npx wrangler secret put API_KEYS
}
`;

/** What is too large; empty when all is well. */
export function findOversize({ scriptGz, assets }: EdgeBuild): string[] {
  const script = sum(scriptGz);
  return [
    ...(script > MAX_SCRIPT_GZ
      ? [`script must be <= ${mib(MAX_SCRIPT_GZ)} gzipped: current value is ${mib(script)}`]
      : []),
    ...Object.entries(assets).filter(([, size]) => size > MAX_ASSET).map(([name, size]) =>
      `asset ${name} must be <= ${mib(MAX_ASSET)}: current value is ${mib(size)}`
    ),
  ];
}

/** The sizes as a table. */
export function formatBuild({ scriptGz, assets }: EdgeBuild): string {
  const sizes = Object.values(assets);
  return [
    ...Object.entries(scriptGz).map(([name, size]) => `${mib(size)} gzipped  ${name}`),
    `${mib(sum(scriptGz))} gzipped  in all, limit ${mib(MAX_SCRIPT_GZ)}`,
    `${mib(sum(assets))} in ${sizes.length} assets, the largest ${mib(Math.max(...sizes))}, ` +
    `limit ${mib(MAX_ASSET)}`,
  ].join("\n");
}

function sum(sizes: Readonly<Record<string, number>>): number {
  return Object.values(sizes).reduce((total, size) => total + size, 0);
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
}

if (import.meta.main) {
  const [folder = "dist/worker/", entry, model] = Deno.args;
  const inRoot = (path: string): URL => new URL(path.replace(/\/?$/, "/"), ROOT);
  const build = await buildEdge(inRoot(folder), {
    entry: entry ? new URL(entry, ROOT) : undefined, // an empty word is none
    model: model === undefined ? undefined : inRoot(model),
  });
  console.log(formatBuild(build));
  const faults = findOversize(build);
  for (const fault of faults) console.error(`Cannot deploy: ${fault}`);
  if (faults.length > 0) Deno.exit(1);
}
