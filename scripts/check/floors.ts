/**
 * Checks that imports go down a floor and in no circle, that files and functions stay short, and that
 * documents point to what is there. CONTRIBUTING.md gives the reasons.
 *
 * Run: `deno task floors`. Prints one line per fault and exits with 1, else says that floors hold.
 */

import { findImports, findInCode, type Import } from "./scan_source.ts";
import { readDenoConfig } from "./deno_config.ts";
import { findDangling, findLongPage } from "./references.ts";
import { findCircles, findLongFunctions } from "./structure.ts";
import { listFiles, readIgnored, type TreeFile } from "./working_tree.ts";

/** What the check looks at; made by hand in tests. */
export interface House {
  /** Path from the root → source text; only the texts of published modules are looked at. */
  readonly files: ReadonlyMap<string, string>;
  /** `imports` of deno.json. */
  readonly imports: Readonly<Record<string, string>>;
  /** Its packages: name → `npm:` with the version that all of the house uses. */
  readonly packages: Readonly<Record<string, string>>;
}

/** What lies directly in src; imports go to a lower floor or stay in the folder. */
const FLOORS: ReadonlyMap<string, number> = new Map([
  ["errors.ts", -1],
  ["grouped.ts", -1],
  ["nearest_names.ts", -1],
  ["version.ts", -1],
  ["tensor", 0],
  ["plan", 0],
  ["image", 1],
  ["onnx", 1],
  ["assets", 1],
  ["sampler", 2],
  ["text", 2],
  ["model", 3],
  ["backend", 3],
  ["engine", 4],
  ["calibrate", 5],
  ["worker", 5],
  ["page", 6],
  ["server", 7],
  ["cli", 8],
  ["edge", 8],
]);

/** Where the runtime's own API may be used; the rest must run in a browser and in a worker. */
const MAY_USE_DENO = /^src\/(?:(?:server|cli|edge)\/|assets\/source\.ts$)/;
/** What Node 20, the oldest runtime that we run in, does not have; the edge's own services never meet it. */
const NEWER =
  /\b(?:Map\.groupBy|Object\.groupBy|Promise\.withResolvers|Promise\.try|Array\.fromAsync)\b/g;
const MAY_BE_NEWER = /^src\/edge\//;
const MAX_LINES = 300;
const NO_NAMES = /(?:^|\/)(?:(?:utils?|common|helpers?)(?:\.ts)?|types\.ts|index\.ts)(?:\/|$)/;
const TOP_LEVEL = new Set(
  ("deno.json deno.lock mod.ts src plans scripts tests README.md models LICENSE examples " +
    "CONTRIBUTING.md CHANGELOG.md").split(" "),
);
/** Made by a script, or a test of this check that needs paths that are not there. */
const GENERATED = /page_script\.ts$|^tests\/scripts\/check\//;
/** Files that are published and no code: a face may import them as JSON or bytes. */
const PUBLISHED_ASSET = /^(?:(?:plans|models)\/|deno\.json$)/;

/** All faults, one line each, file by file; circles of imports last. */
export function findFaults(house: House): string[] {
  const faults = [...house.files].flatMap(([path, source]) => [
    ...nameFaults(path),
    ...(isPublished(path) ? sourceFaults(path, source, house) : []),
  ]);
  return [...faults, ...findCircles(importsOf(house))];
}

/** The files that each published file imports, of those that are here. */
function importsOf({ files, imports }: House): ReadonlyMap<string, readonly string[]> {
  const published = [...files].filter(([path]) => isPublished(path));
  return new Map(published.map(([path, source]) => [
    path,
    findImports(source)
      .map(({ specifier }) => resolvePath(path, mapSpecifier(specifier, imports), specifier))
      .filter((target) => files.has(target)),
  ]));
}

function isPublished(path: string): boolean {
  return path === "mod.ts" || /^src\/.*\.[cm]?[jt]sx?$/.test(path);
}

function nameFaults(path: string): string[] {
  const faults: string[] = [];
  const top = path.split("/")[0]!;
  if (!TOP_LEVEL.has(top) && !top.startsWith(".")) {
    faults.push(`${path} ${top} has no place at the top of the repository`);
  }
  if (top === "src" && !FLOORS.has(roomOf(path))) faults.push(`${path} is on no floor`);
  if (NO_NAMES.test(path)) faults.push(`${path} has a name that says nothing`);
  return faults;
}

function sourceFaults(path: string, source: string, house: House): string[] {
  const lines = source.split("\n").length - (source.endsWith("\n") ? 1 : 0);
  const usesDeno = MAY_USE_DENO.test(path) ? [] : findInCode(source, /\bDeno\b/g);
  const newer = MAY_BE_NEWER.test(path) ? [] : findInCode(source, NEWER);
  return [
    ...(lines > MAX_LINES ? [`${path} must have <= ${MAX_LINES} lines: has ${lines}`] : []),
    ...findImports(source).flatMap((found) => importFaults(path, found, house)),
    ...findLongFunctions(source).map((fault) => `${path}${fault}`),
    ...usesDeno.map((line) => `${path}:${line} uses Deno: only faces and assets/source.ts may`),
    ...newer.map((line) => `${path}:${line} uses what Node 20 does not have`),
  ];
}

function importFaults(
  path: string,
  { specifier, line }: Import,
  { imports, packages }: House,
): string[] {
  const mapped = mapSpecifier(specifier, imports);
  const isPackage = Object.values(packages).some((target) => `${mapped}/`.startsWith(`${target}/`));
  if (isPackage || mapped.startsWith("node:")) return [];
  const target = mapped.startsWith(".") ? resolvePath(path, mapped, specifier) : undefined;
  const reason = target === undefined
    ? "must be a relative file, node:, or npm: with a package and version of deno.json"
    : reasonAgainst(path, target);
  return reason === undefined ? [] : [`${path}:${line} imports ${target ?? specifier}: ${reason}`];
}

/** What deno.json makes of a specifier: the whole name, or the longest mapped name before a `/`. */
function mapSpecifier(specifier: string, imports: House["imports"]): string {
  const name = Object.keys(imports)
    .filter((key) => specifier === key || specifier.startsWith(key.replace(/\/?$/, "/")))
    .sort((a, b) => b.length - a.length)[0];
  return name === undefined ? specifier : imports[name]! + specifier.slice(name.length);
}

/** Mapped targets are relative to deno.json at the root, written ones to the file. */
export function resolvePath(path: string, mapped: string, specifier: string): string {
  const base = new URL(mapped === specifier ? path : "deno.json", "file:///house/");
  const { pathname } = new URL(mapped, base);
  return pathname.startsWith("/house/") ? pathname.slice("/house/".length) : `..${pathname}`;
}

/** Why `path` may not import the file `target`; `undefined` when it may, or when one has no floor, a fault by itself. */
function reasonAgainst(path: string, target: string): string | undefined {
  if (PUBLISHED_ASSET.test(target)) return undefined;
  if (!target.startsWith("src/")) return "published modules import only from src";
  const [from, to] = [roomOf(path), roomOf(target)];
  const [fromFloor, toFloor] = [FLOORS.get(from), FLOORS.get(to)];
  if (from === to || fromFloor === undefined || toFloor === undefined) return undefined;
  if (fromFloor > toFloor) return undefined;
  if (fromFloor === toFloor) return `${from} and ${to} are strangers on floor ${toFloor}`;
  return `floor ${fromFloor} must not know floor ${toFloor}`;
}

/** `src/image/png.ts` → `engine`, `src/errors.ts` → `errors.ts`, `mod.ts` → itself. */
function roomOf(path: string): string {
  const [top, room] = path.split("/");
  return room ?? top!;
}

/** Reads the published modules among the files of the working tree. */
async function readHouse(root: URL, tree: readonly TreeFile[]): Promise<House> {
  const files = new Map<string, string>();
  for (const { path } of tree) {
    files.set(path, isPublished(path) ? await Deno.readTextFile(new URL(path, root)) : "");
  }
  const { imports, packages } = await readDenoConfig(root);
  return { files, imports, packages };
}

/** Documents and comments that point to what is not there, and a front page that is too long. */
async function findProseFaults(root: URL, tree: readonly TreeFile[]): Promise<string[]> {
  const { tasks } = await readDenoConfig(root);
  const known = {
    files: new Set(tree.map(({ path }) => path)),
    tasks: new Set(Object.keys(tasks)),
  };
  const faults: string[] = [];
  for (const { path } of tree) {
    if (!/\.md$|^(?:src|scripts|tests)\/.*\.ts$|^mod\.ts$/.test(path) || GENERATED.test(path)) {
      continue;
    }
    const text = await Deno.readTextFile(new URL(path, root));
    const { length } = new TextEncoder().encode(text);
    faults.push(...findDangling(path, text, known), ...findLongPage(path, length));
  }
  return faults;
}

if (import.meta.main) {
  const root = new URL("../../", import.meta.url);
  const tree = await listFiles(root, await readIgnored(root));
  const house = await readHouse(root, tree);
  const faults = [...findFaults(house), ...await findProseFaults(root, tree)];
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) Deno.exit(1);
  console.log(`${[...house.files.keys()].filter(isPublished).length} files, floors hold`);
}
