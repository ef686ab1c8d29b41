/**
 * Builds the page's files.
 *
 * `deno task build:page` makes `dist/page/`: the engine for the browser with its worker, onnxruntime-web's own
 * files, and the viewer of `/docs`. `--once` does nothing when the folder is up to date, and never fails; `deno task serve` begins with it.
 * `deno task build:page --script` also bundles the page's own script into `src/server/page_script.ts`. That
 * module is kept in the repository, so that the page is there without a build: for users of the package, for
 * edge workers, and for `deno publish --dry-run` in a clean clone. A test fails when it is older than its sources.
 *
 * Deno's own bundler is used: esbuild, which is behind it, would be one more dependency for the same bytes.
 */

import { createHash } from "node:crypto";
import { RUNTIME_FOLDER } from "../../src/page/contract.ts";
import { VIEWER_FOLDER } from "../../src/server/docs_page.ts";
import { findImports } from "../check/scan_source.ts";
import { runtimeFile, viewerFile } from "./runtime_file.ts";

const ROOT = new URL("../../", import.meta.url);
const OUT = new URL("dist/page/", ROOT);
const MAIN = "src/page/main.ts";
/** Says which version of the viewer there must be. */
const DOCS = "src/server/docs_page.ts";
const SCRIPT = new URL("src/server/page_script.ts", ROOT);
/** Files that a bundle is made of, by what it is called. */
const BUNDLES: readonly {
  readonly entry: string;
  readonly name: string;
  readonly split: boolean;
}[] = [
  { entry: MAIN, name: "main", split: false },
  { entry: "src/page/engine.ts", name: "engine", split: false },
  { entry: "src/worker/entry.ts", name: "worker", split: true }, // loads one of the runtime's builds
];
const RUNTIME_FILES = ["", ".jspi", ".asyncify"].flatMap((kind) =>
  ["mjs", "wasm"].map((type) => `ort-wasm-simd-threaded${kind}.${type}`)
);

const VIEWER_FILES = ["swagger-ui-bundle.js", "swagger-ui.css"];

/** Builds the folder, unless `once` and it is up to date. Returns whether it was built. */
export async function buildPage(
  { once = false }: { readonly once?: boolean } = {},
): Promise<boolean> {
  const stamp = await digestOf([...BUNDLES.map(({ entry }) => entry), DOCS]);
  const stampFile = new URL("stamp.txt", OUT);
  if (once && await readText(stampFile) === stamp) return false;
  await Deno.remove(OUT, { recursive: true }).catch(ignoreMissing);
  for (const { entry, name, split } of BUNDLES) await bundle(entry, { folder: OUT, name, split });
  await copyAll(RUNTIME_FILES, { from: runtimeFile, to: new URL(RUNTIME_FOLDER, OUT) });
  await copyAll(VIEWER_FILES, { from: viewerFile, to: new URL(VIEWER_FOLDER, OUT) });
  await Deno.writeTextFile(stampFile, stamp);
  return true;
}

/** Copies files that a package has. */
async function copyAll(
  files: readonly string[],
  { from, to }: { readonly from: (name: string) => Promise<URL>; readonly to: URL },
): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for (const file of files) await Deno.copyFile(await from(file), new URL(file, to));
}

/** The module that carries the page's script, from a fresh bundle. */
async function scriptModule(): Promise<string> {
  const folder = new URL(`file://${await Deno.makeTempDir()}/`);
  try {
    await bundle(MAIN, { folder, name: "main", split: false });
    const text = await Deno.readTextFile(new URL("main.js", folder));
    return `/**
 * The page's script, bundled by \`deno task build:page --script\`; not to be edited.
 *
 * @module
 */

/** Digest of its sources. */
export const PAGE_SCRIPT_SOURCES = "${await digestOf([MAIN])}";

/** \`/page/main.js\`. */
export const PAGE_SCRIPT: string =
  ${JSON.stringify(text.trim())};
`;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** SHA-256 over modules and all code that they import by path, in the order of their paths. */
export async function digestOf(entries: readonly string[]): Promise<string> {
  const files = new Map<string, string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (files.has(path)) continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    files.set(path, text);
    const found = path.endsWith(".ts") ? findImports(withoutTypes(text)) : [];
    for (const { specifier } of found) {
      if (specifier.startsWith(".")) {
        waiting.push(relative(new URL(specifier, new URL(path, ROOT))));
      }
    }
  }
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, text]) =>
    `${path}\n${text}`
  );
  return createHash("sha256").update(sorted.join("\0")).digest("hex");
}

/** Types leave no trace in a bundle. */
function withoutTypes(source: string): string {
  return source.replace(/\b(?:import|export)\s+type\b[^;]*;|\btypeof import\([^)]*\)/g, "");
}

function relative({ href }: URL): string {
  return href.slice(ROOT.href.length);
}

async function bundle(
  entry: string,
  { folder, name, split }: { readonly folder: URL; readonly name: string; readonly split: boolean },
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const options = ["--quiet", "--platform", "browser", "--minify"];
  const output = split
    ? ["--code-splitting", "--outdir", folder.pathname]
    : ["-o", `${folder.pathname}${name}.js`];
  const command = new Deno.Command(Deno.execPath(), {
    args: ["bundle", ...options, ...output, entry],
    cwd: ROOT,
    stderr: "inherit",
  });
  if (!(await command.output()).success) throw new Error(`Cannot bundle ${entry}: see above`);
  const made = `${entry.split("/").at(-1)!.replace(/\.ts$/, "")}.js`; // a path has a last part
  if (split && made !== `${name}.js`) {
    await Deno.rename(new URL(made, folder), new URL(`${name}.js`, folder));
  }
}

async function readText(file: URL): Promise<string | undefined> {
  return await Deno.readTextFile(file).catch(ignoreMissing);
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof Deno.errors.NotFound) return undefined;
  throw error;
}

/** Builds for `serve`, which serves without it: what keeps it from being built is one line, and no failure. */
async function buildForServer(): Promise<boolean> {
  try {
    return await buildPage({ once: true });
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] : error;
    console.error(`the page draws on the server only: dist/page cannot be built (${why})`);
    return false;
  }
}

if (import.meta.main) {
  if (Deno.args.includes("--script")) await Deno.writeTextFile(SCRIPT, await scriptModule());
  const built = await (Deno.args.includes("--once") ? buildForServer() : buildPage());
  if (built) console.error("built dist/page: the engine for the browser");
}
