/**
 * Files below a URL that were cut into parts: for hosts that ignore range requests or limit a file's size,
 * such as the static assets of a worker. One part is held at a time.
 *
 * `parts.json` beside them says how they were cut, see {@link PartsIndex}.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson, parseJson } from "./json.ts";
import {
  collect,
  type Fetch,
  inBlocks,
  received,
  refuseResponse,
  request,
} from "./store/ranged_response.ts";
import { fail } from "./read_errors.ts";
import { type ByteRange, checkedPath, checkRange, namesIn, type Source } from "./source.ts";

/** Name of the index. */
export const PARTS_INDEX = "parts.json";

/** How files were cut: part i of the file `a` is the file `a.i`. */
export interface PartsIndex {
  readonly format: 1;
  /** Bytes of every part but a file's last, which has the rest. */
  readonly partBytes: number;
  /** Name of a file → its size in bytes. */
  readonly files: Readonly<Record<string, number>>;
}

const schema: z.ZodType<PartsIndex> = z.strictObject({
  format: z.literal(1),
  partBytes: z.int().min(1),
  files: z.record(z.string(), z.int().nonnegative()),
});

/**
 * Opens a URL prefix.
 *
 * @param fetch What fetches, such as an asset binding's; the global function unless given.
 * @throws {AssetError} When there is no index.
 */
export async function openParts(prefix: string | URL, fetch?: Fetch): Promise<Source> {
  const base = new URL(prefix);
  base.pathname = base.pathname.replace(/\/?$/, "/");
  const url = fileUrl(base, PARTS_INDEX);
  const index = checkJson(parseJson(await fetchWhole(url, { fetch }), url.href), schema, url.href);
  return new PartedSource(base, index, fetch);
}

class PartedSource implements Source {
  readonly name: string;
  #last: { readonly href: string; readonly bytes: Uint8Array } | undefined;

  constructor(readonly base: URL, readonly index: PartsIndex, readonly fetch: Fetch | undefined) {
    this.name = base.href;
  }

  size(path: string): Promise<number | undefined> {
    const { files } = this.index;
    return Promise.resolve(Object.hasOwn(files, checkedPath(path)) ? files[path] : undefined);
  }

  async read(path: string, range: ByteRange): Promise<Uint8Array> {
    return await collect(this.stream(path, range));
  }

  async *stream(
    path: string,
    range: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const url = fileUrl(this.base, path);
    const size = await this.size(path) ?? fail(url.href, `it must be in ${PARTS_INDEX}`);
    checkRange(url.href, range, size);
    yield* inBlocks(this.#slices(url, { ...range, size }, signal), url, range.length);
  }

  list(folder?: string): Promise<readonly string[]> {
    return Promise.resolve(namesIn(Object.keys(this.index.files), folder));
  }

  close(): Promise<void> {
    this.#last = undefined;
    return Promise.resolve();
  }

  async *#slices(
    file: URL,
    { offset, length, size }: ByteRange & { readonly size: number },
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    const { partBytes } = this.index;
    const end = offset + length;
    for (let i = Math.floor(offset / partBytes); i * partBytes < end; i++) {
      signal?.throwIfAborted();
      const begin = i * partBytes;
      const length = Math.min(partBytes, size - begin);
      const bytes = await this.#part(new URL(`${file.href}.${i}`), { length, signal });
      yield bytes.subarray(Math.max(0, offset - begin), Math.min(bytes.length, end - begin));
    }
  }

  /** A part; the last one is kept, for neighbours in a file are read one after another. */
  async #part(
    url: URL,
    { length, signal }: { readonly length: number; readonly signal: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    if (this.#last?.href === url.href) return this.#last.bytes;
    this.#last = undefined; // before the next is there: one at a time
    const bytes = await fetchWhole(url, { fetch: this.fetch, signal });
    if (bytes.length !== length) {
      fail(url.href, `it must have ${length} bytes: current value is ${bytes.length} bytes`);
    }
    this.#last = { href: url.href, bytes };
    return bytes;
  }
}

async function fetchWhole(
  url: URL,
  options: { readonly fetch: Fetch | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array> {
  const response = await request(url, options);
  if (response.status !== 200) await refuseResponse(url, response, "200");
  return await collect(received(url, response, options.signal));
}

function fileUrl(base: URL, path: string): URL {
  return new URL(checkedPath(path).split("/").map(encodeURIComponent).join("/"), base);
}
