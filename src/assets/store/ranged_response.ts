/**
 * One HTTP answer to a range request: what it promises, and its body in blocks.
 */

import { AssetError } from "../../errors.ts";
import { joinBytes } from "../../tensor/bytes.ts";
import { Interruption } from "./retry.ts";
import { fail } from "../read_errors.ts";
import { BLOCK_BYTES, type ByteRange } from "../source.ts";

/** What a `content-range` header says, as far as it does. */
export interface ContentRange {
  readonly first?: number;
  readonly last?: number;
  readonly size?: number;
}

/** What fetches: the global function, or that of a binding. */
export type Fetch = (url: URL, init: RequestInit) => Promise<Response>;

/** The URL without its query, which may be a signature. */
export function plain({ origin, pathname }: URL): string {
  return origin + pathname;
}

/** A route below a base, whose query is kept; every part is one part of the path. */
export function urlBelow(base: URL, parts: readonly string[]): URL {
  const url = new URL(base);
  url.pathname = [url.pathname.replace(/\/$/, ""), ...parts.map(encodeURIComponent)].join("/");
  return url;
}

/** How a file is asked for. */
export interface RequestOptions {
  /** A part of it; the whole unless given. */
  readonly range?: ByteRange | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What fetches; the global function unless given. */
  readonly fetch?: Fetch | undefined;
  /** What else is sent. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What is done with redirects and caches. */
  readonly init?: Pick<RequestInit, "redirect" | "cache">;
}

/**
 * Asks for a file.
 *
 * @throws {AssetError} When there is no answer; the signal's reason when it is aborted.
 */
export async function request(url: URL, options: RequestOptions = {}): Promise<Response> {
  const { range, signal, fetch = globalThis.fetch, headers, init } = options;
  const part = range && { range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
  try {
    return await fetch(url, {
      ...init,
      ...((headers ?? part) && { headers: { ...headers, ...part } }),
      ...(signal !== undefined && { signal }),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw unanswered(url, cause);
  }
}

/**
 * Parts of any size as blocks of `BLOCK_BYTES`; together they must have exactly this length.
 *
 * @throws {AssetError} When they are shorter or longer.
 */
export async function* inBlocks(
  parts: AsyncIterable<Uint8Array>,
  url: URL,
  length: number,
): AsyncGenerator<Uint8Array> {
  let done = 0;
  let block = new Uint8Array(Math.min(BLOCK_BYTES, length));
  let filled = 0;
  for await (let part of parts) {
    done += part.length;
    if (done > length) break;
    while (part.length > 0) {
      const taken = part.subarray(0, block.length - filled);
      block.set(taken, filled);
      filled += taken.length;
      part = part.subarray(taken.length);
      if (filled < block.length) continue;
      yield block;
      block = new Uint8Array(Math.min(BLOCK_BYTES, length - done + part.length));
      filled = 0;
    }
  }
  if (done === length) return;
  fail(url.href, `the answer must have ${length} bytes: current value is ${done} bytes`);
}

/** The body as it comes. It is cancelled when the caller stops early. */
export async function* received(
  url: URL,
  response: Response,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        signal?.throwIfAborted();
        throw unanswered(url, cause);
      });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it has failed or is already closed
  }
}

/** The `content-range` of an answer; `undefined` when it has none, or one that makes no sense. */
export function contentRange(response: Response): ContentRange | undefined {
  const text = response.headers.get("content-range") ?? "";
  const match = /^bytes (?:(\d{1,15})-(\d{1,15})|\*)\/(?:(\d{1,15})|\*)$/.exec(text);
  if (match === null) return undefined;
  const [first, last, size] = match.slice(1).map((digits) => digits ? Number(digits) : undefined);
  return {
    ...(first !== undefined && { first }),
    ...(last !== undefined && { last }),
    ...(size !== undefined && { size }),
  };
}

/**
 * Proves that an answer has the wanted range of a file of the wanted size.
 *
 * @throws {AssetError} When it has another; the body is cancelled.
 */
export async function checkContentRange(
  url: URL,
  response: Response,
  wanted: ByteRange & { readonly size: number },
): Promise<void> {
  const got = contentRange(response);
  const last = wanted.offset + wanted.length - 1;
  if (got?.first === wanted.offset && got.last === last && got.size === wanted.size) return;
  await response.body?.cancel();
  fail(
    url.href,
    `the server must answer with bytes ${wanted.offset}-${last}/${wanted.size}: ` +
      `current value is "${response.headers.get("content-range") ?? ""}"`,
  );
}

/** Cancels an answer that cannot be used and throws the `AssetError` that says why. */
export async function refuseResponse(
  url: URL,
  response: Response,
  wanted = "206 with a content-range",
): Promise<never> {
  if (!response.bodyUsed) await response.body?.cancel();
  const range = response.headers.get("content-range") ?? "";
  fail(
    url.href,
    `the server must answer ${wanted}: current value is ${response.status}, "${range}"`,
  );
}

/** The blocks as one. */
export async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return joinBytes(all);
}

/** No answer, or a broken one: the next may be better, unless none may be asked for. */
function unanswered(url: URL, cause: unknown): AssetError {
  if (cause instanceof Error && cause.name === "NotCapable") { // Deno's, by its name
    return new AssetError(
      `Cannot read ${plain(url)}: the process must have permission to use the network ` +
        `(Deno: --allow-net=${url.host})`,
      { cause },
    );
  }
  const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new Interruption(
    `Cannot read ${plain(url)}: the server must answer to the end: current value is ${
      why.split("\n", 1)[0]
    }`,
    { cause },
  );
}
