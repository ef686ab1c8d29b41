/**
 * Files of the page: those of a built folder, and models on disk.
 */

import { modelFiles } from "../assets/model_files.ts";
import { openDirectory } from "../assets/source.ts";
import { MODEL_FILES } from "../page/contract.ts";

/** A file that is sent. */
export interface PageAsset {
  /** Its bytes. */
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Its size in bytes. */
  readonly size: number;
  /** Its media type. */
  readonly type: string;
  /** Equal for equal bytes, quoted as in HTTP. */
  readonly etag: string;
  /** Its bytes from one place up to another, for requests of ranges; without it they get the whole file. */
  slice?(from: number, to: number): PageAsset["body"];
}

/** Files by name; names have `/` and no leading one. */
export interface PageAssets {
  /** Models whose files are among them: these can run in the browser. */
  readonly models: readonly string[];
  /** The file of a name; `undefined` when there is none. */
  read(name: string): Promise<PageAsset | undefined>;
}

/** Larger files are streamed. */
const WHOLE_BYTES = 1 << 20;

const TYPES: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  mjs: "text/javascript; charset=utf-8",
  json: "application/json",
  wasm: "application/wasm",
  safetensors: "application/octet-stream",
};

/**
 * A folder that `deno task build:page` made, and models that can run in the browser.
 *
 * @param folder The folder, as path or `file:` URL.
 * @param models Id → its folder; served as `models/<id>/…`, their names as the array `models/<id>/files.json`.
 */
export function directoryAssets(
  folder: string | URL,
  models: Readonly<Record<string, string | URL>> = {},
): PageAssets {
  return {
    models: Object.keys(models),
    read: async (name) => {
      const parts = safeParts(name);
      if (parts === undefined) return undefined;
      const [first, id = "", ...path] = parts;
      if (first !== "models") return await readAsset(folder, parts);
      if (!Object.hasOwn(models, id)) return undefined;
      return await readModel(models[id]!, path); // it is its own
    },
  };
}

/** A file that opening the model reads, or the list of them. */
async function readModel(
  folder: string | URL,
  path: readonly string[],
): Promise<PageAsset | undefined> {
  const source = openDirectory(folder);
  const names = await modelFiles(source).finally(() => source.close());
  if (path.join("/") !== MODEL_FILES) {
    if (!names.includes(path.join("/"))) return undefined;
    return await readAsset(folder, path, typeOf(path) ?? "application/octet-stream");
  }
  return textAsset(JSON.stringify(names), TYPES["json"]!);
}

/** A file of text. */
export function textAsset(text: string, type: string): PageAsset {
  return bytesAsset(new TextEncoder().encode(text), type);
}

/** A file of bytes. */
function bytesAsset(body: Uint8Array<ArrayBuffer>, type: string): PageAsset {
  const slice = (from: number, to: number): Uint8Array<ArrayBuffer> => body.subarray(from, to);
  return { body, size: body.length, type, etag: `"${checksum(body)}"`, slice };
}

/** *Source:* FNV-1a, 32 bits: enough to tell versions of one file apart. */
function checksum(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return `${bytes.length.toString(36)}-${(hash >>> 0).toString(36)}`;
}

/** Parts of a relative name that stays below its folder and names no hidden file; else `undefined`. */
function safeParts(name: string): readonly string[] | undefined {
  const parts = name.split("/");
  return parts.every((part) => /^[\w-][\w.-]*$/.test(part)) ? parts : undefined;
}

/** The type that a file's name tells; `undefined` where it is none of a page's. */
function typeOf(parts: readonly string[]): string | undefined {
  return TYPES[parts.at(-1)!.split(".").at(-1)!]; // split gives at least one
}

async function readAsset(
  folder: string | URL,
  parts: readonly string[],
  type = typeOf(parts),
): Promise<PageAsset | undefined> {
  if (type === undefined) return undefined;
  const { readFile, stat } = await import("node:fs/promises");
  const { fileURLToPath } = await import("node:url");
  const root = folder instanceof URL ? fileURLToPath(folder) : folder;
  const path = [root.replace(/\/$/, ""), ...parts].join("/");
  const facts = await stat(path).catch(missing);
  if (facts?.isFile() !== true) return undefined;
  const { size, mtimeMs } = facts;
  const etag = `"${size.toString(36)}-${Math.floor(mtimeMs).toString(36)}"`;
  const slice = (from: number, to: number): PageAsset["body"] => streamOf(path, { from, to });
  const body = size > WHOLE_BYTES ? slice(0, size) : new Uint8Array(await readFile(path));
  return { body, size, type, etag, slice };
}

type FileHandle = Awaited<ReturnType<typeof import("node:fs/promises").open>>;

/** A part of a file in blocks. It is opened by the first read (a HEAD request has none), closed by its end or when it is left. */
function streamOf(
  path: string,
  { from, to }: { readonly from: number; readonly to: number },
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let handle: FileHandle | undefined;
  let at = from;
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const { open } = await import("node:fs/promises");
      const file: FileHandle = handle ?? await open(path, "r");
      handle = file;
      const block = new Uint8Array(Math.min(WHOLE_BYTES, to - at));
      const { bytesRead } = await file.read(block, 0, block.length, at);
      at += bytesRead;
      if (bytesRead > 0) controller.enqueue(block.subarray(0, bytesRead));
      if (bytesRead > 0 && at < to) return;
      await file.close();
      controller.close();
    },
    cancel: () => handle?.close(),
  }, { highWaterMark: 0 });
}

function missing(error: unknown): undefined {
  const code: unknown = Reflect.get(Object(error), "code");
  const name: unknown = Reflect.get(Object(error), "name");
  const known = ["ENOENT", "ENOTDIR", "EISDIR", "NotFound", "NotADirectory"];
  if (known.some((each) => each === code || each === name)) return undefined;
  throw error;
}
