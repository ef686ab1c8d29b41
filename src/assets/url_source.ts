/**
 * Files below a URL, fetched by range requests.
 *
 * The first request for a file asks for its head. The answer tells the size and whether the server
 * honours ranges, and is kept: small files and headers cost one request.
 */

import { joinBytes } from "../tensor/bytes.ts";
import {
  checkContentRange,
  collect,
  contentRange,
  inBlocks,
  received,
  refuseResponse,
  request,
  urlBelow,
} from "./store/ranged_response.ts";
import { fail } from "./read_errors.ts";
import { blocks, type ByteRange, checkedPath, checkRange, type Source } from "./source.ts";

/** Opens a URL prefix, `http:` or `https:`; a query is kept for every file. */
export function openUrl(prefix: string | URL): Source {
  return new UrlSource(new URL(prefix));
}

interface RemoteFile {
  readonly size: number;
  /** The first bytes, or all of them where the server ignores ranges. */
  readonly head: Uint8Array;
}

const HEAD_BYTES = 1 << 16;
/** A file up to this size is read whole when the server ignores ranges: 32 MiB. */
const WHOLE_BYTES = 1 << 25;

class UrlSource implements Source {
  readonly name: string;
  readonly #files = new Map<string, Promise<RemoteFile | undefined>>();

  constructor(readonly prefix: URL) {
    this.name = prefix.href;
  }

  async size(path: string): Promise<number | undefined> {
    return (await this.#open(path))?.size;
  }

  async read(path: string, range: ByteRange): Promise<Uint8Array> {
    return await collect(this.stream(path, range));
  }

  async *stream(
    path: string,
    range: ByteRange,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { offset, length } = range;
    const url = this.#locate(path);
    const file = await this.#open(path) ?? fail(url.href, "it must exist");
    checkRange(url.href, range, file.size);
    if (length === 0) return;
    if (offset + length <= file.head.length) {
      const read = (part: ByteRange): Promise<Uint8Array> =>
        Promise.resolve(file.head.subarray(part.offset, part.offset + part.length));
      return yield* blocks(range, read, signal);
    }
    const response = await request(url, { range, signal });
    if (response.status !== 206) await refuseResponse(url, response);
    await checkContentRange(url, response, { ...range, size: file.size });
    yield* inBlocks(received(url, response, signal), url, length);
  }

  list(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    return Promise.resolve(); // every response was read to its end or cancelled
  }

  async #open(path: string): Promise<RemoteFile | undefined> {
    const file = this.#files.get(path) ?? probe(this.#locate(path));
    this.#files.set(path, file);
    file.catch(() => this.#files.delete(path)); // so that the next caller tries again
    return await file;
  }

  #locate(path: string): URL {
    return urlBelow(this.prefix, checkedPath(path).split("/"));
  }
}

async function probe(url: URL): Promise<RemoteFile | undefined> {
  const response = await request(url, { range: { offset: 0, length: HEAD_BYTES } });
  const range = contentRange(response);
  if (response.status === 200) return await whole(url, response);
  if (response.status === 206 && range?.size !== undefined) {
    const length = Math.min(HEAD_BYTES, range.size);
    await checkContentRange(url, response, { offset: 0, length, size: range.size });
    return {
      size: range.size,
      head: await collect(inBlocks(received(url, response), url, length)),
    };
  }
  if (response.status === 206) return await refuseResponse(url, response);
  await response.body?.cancel();
  if (response.status === 404 || response.status === 410) return undefined;
  if (response.status === 416 && range?.size === 0) return { size: 0, head: new Uint8Array() };
  return await refuseResponse(url, response);
}

/** The server ignored the range: the file must be small enough to be kept. */
async function whole(url: URL, response: Response): Promise<RemoteFile> {
  const told = response.headers.get("content-length");
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of received(url, response)) {
    parts.push(part);
    size += part.length;
    if (Math.max(size, Number(told)) <= WHOLE_BYTES) continue;
    fail(
      url.href,
      `the server must honour range requests for files above ${WHOLE_BYTES} bytes: ` +
        `current value is status 200, ${told ?? `more than ${size}`} bytes`,
    );
  }
  if (told !== null && response.headers.get("content-encoding") === null && size !== Number(told)) {
    fail(url.href, `it must have ${told} bytes: current value is ${size} bytes`);
  }
  return { size, head: joinBytes(parts) };
}
