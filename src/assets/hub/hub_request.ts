/**
 * One request to a hub: redirects followed by hand, so that the token never leaves the hub, and every
 * answer either good, worth another try, or an error that says what to do.
 *
 * @module
 */

import { AssetError } from "../../errors.ts";
import { parseJson } from "../json.ts";
import { type Fetch, join, received } from "../store/ranged_response.ts";
import { type Clock, Interruption, retryAfterOf, type Watch, watching } from "../store/retry.ts";
import type { ByteRange } from "../source.ts";

/** How a hub is reached. */
export interface HubAccess {
  /** Base of all its routes. */
  readonly endpoint: URL;
  /** Bearer token for the endpoint's origin, and for no other. */
  readonly token?: string | undefined;
  /** What fetches; the global function unless given. */
  readonly fetch?: Fetch | undefined;
  /** Waits. */
  readonly clock: Clock;
}

/** What is asked. */
export interface Question extends HubAccess {
  /** A part of it; the whole unless given. */
  readonly range?: ByteRange;
  /** Method; GET unless given. */
  readonly method?: "GET" | "HEAD";
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
}

/** A good answer: 200 or 206. */
export interface Answer {
  /** The last response; its body is the caller's to read or cancel. */
  readonly response: Response;
  /** The sha256 that the hub says the file has, in whichever answer of the chain it said so. */
  readonly linkedHash?: string | undefined;
}

/** Milliseconds without a byte after which an answer is given up. */
export const PATIENCE_MS = 30_000;

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const MOST_HOPS = 8;
/** What a hub says of a large file, before it leads to where that lies. */
const LINKED_ETAG = "x-linked-etag";
/** Largest JSON of a hub: a page of a listing has 1,000 files. */
const JSON_LIMIT = 1 << 24;

/**
 * Asks, and follows to where the answer is.
 *
 * @throws {Interruption} When trying again may help.
 * @throws {AssetError} When it would not.
 */
export async function ask(url: URL, question: Question): Promise<Answer> {
  let linkedHash: string | undefined;
  let target = url;
  let token = url.origin === question.endpoint.origin ? question.token : undefined;
  for (let hop = 0; hop <= MOST_HOPS; hop++) {
    const response = await send(target, { ...question, token });
    linkedHash ??= response.headers.get(LINKED_ETAG)?.replaceAll('"', "");
    if (response.ok) return { response, linkedHash };
    await response.body?.cancel();
    if (!REDIRECTS.includes(response.status)) {
      throw refusal(target, response, { question, asked: url });
    }
    const next = redirectTarget(target, response);
    if (next.origin !== target.origin) token = undefined; // for good: a chain may come back
    target = next;
  }
  throw new AssetError(`Cannot read ${plain(url)}: it must have at most ${MOST_HOPS} redirects`);
}

/**
 * Reads JSON and the answer it came with.
 *
 * @throws {Interruption | AssetError} As `ask()`; also when it is not JSON or too large.
 */
export async function askJson(
  url: URL,
  question: Question,
): Promise<{ readonly json: unknown; readonly answer: Answer }> {
  const { clock, signal } = question;
  return await watching(
    { what: plain(url), clock, patience: PATIENCE_MS, signal },
    async (watch) => {
      const answer = await ask(url, { ...question, signal: watch.signal });
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const part of bodyOf(url, answer.response, watch)) {
        parts.push(part);
        size += part.length;
        if (size <= JSON_LIMIT) continue;
        throw new AssetError(`Cannot read ${plain(url)}: it must have at most ${JSON_LIMIT} bytes`);
      }
      return { json: parseJson(join(parts, size), plain(url)), answer };
    },
  );
}

/** The body as it comes; a broken one is an `Interruption`, an aborted one its signal's reason. */
export async function* bodyOf(
  url: URL,
  response: Response,
  watch: Watch,
): AsyncGenerator<Uint8Array> {
  const parts = received(url, response, watch.signal);
  try {
    for (;;) {
      const { done, value } = await parts.next().catch((cause: unknown) => {
        watch.signal.throwIfAborted();
        throw broken(url, cause);
      });
      if (done === true) return;
      watch.touch();
      yield value;
    }
  } finally {
    await parts.return(undefined);
  }
}

/** The URL without its query, which may be a signature. */
export function plain({ origin, pathname }: URL): string {
  return origin + pathname;
}

async function send(target: URL, question: Question): Promise<Response> {
  const { token, range, signal, fetch = globalThis.fetch, method = "GET" } = question;
  const headers = {
    "accept-encoding": "identity", // a range counts the bytes of the file
    ...(range && { range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const cache = "no-store" as const; // a browser would keep large files twice
  const init = { method, headers, cache, ...(signal !== undefined && { signal }) };
  try {
    const response = await fetch(target, { ...init, redirect: "manual" });
    if (response.type !== "opaqueredirect") return response;
    await response.body?.cancel();
    return await fetch(target, init); // a browser: it hides redirects, and drops the token by itself
  } catch (cause) {
    signal?.throwIfAborted();
    throw broken(target, cause);
  }
}

function redirectTarget(from: URL, response: Response): URL {
  const text = response.headers.get("location") ?? "";
  const to = text !== "" && URL.canParse(text, from) ? new URL(text, from) : undefined;
  const safe = to?.protocol === "https:" || to?.protocol === "http:" && from.protocol === "http:";
  if (to !== undefined && safe) return to;
  throw new AssetError(
    `Cannot read ${plain(from)}: its redirect must lead to an https: URL: ` +
      `current value is ${JSON.stringify(to === undefined ? text.slice(0, 100) : plain(to))}`,
  );
}

/** A file that is not there. */
export class AbsentError extends AssetError {}
/** A range that the server does not give. */
export class RangeRefusedError extends AssetError {}

function refusal(
  url: URL,
  { status, headers }: Response,
  { question, asked }: { readonly question: Question; readonly asked: URL },
): AssetError {
  const must = `Cannot read ${plain(url)}: `;
  const code = headers.get("x-error-code");
  const got = `current value is ${status}${code === null ? "" : `, ${code.slice(0, 50)}`}`;
  const elsewhere = url.origin !== asked.origin; // a signed link that ran out is signed anew
  if (status === 408 || status === 429 || status >= 500 || status === 403 && elsewhere) {
    const retryAfter = retryAfterOf(headers.get("retry-after"));
    return new Interruption(`${must}the server must answer 200 or 206: ${got}`, { retryAfter });
  }
  const onHub = asked.origin === question.endpoint.origin;
  const names = onHub && asked.pathname.includes("/api/models/") // a hub says 401 of what it lacks, too
    ? "; check owner, name and revision (a private or gated one needs HF_TOKEN)"
    : "";
  if (status === 401 || status === 403) {
    const may = onHub ? ", or HF_TOKEN must be the token of somebody who may read it" : "";
    return new AssetError(`${must}it must be public${may}: ${got}${names}`);
  }
  if (status === 404 || status === 410) {
    return new AbsentError(`${must}it must exist: ${got}${names}`);
  }
  const Refusal = status === 416 ? RangeRefusedError : AssetError;
  return new Refusal(`${must}the server must answer 200 or 206: ${got}`);
}

function broken(url: URL, cause: unknown): AssetError {
  if (cause instanceof Error && cause.name === "NotCapable") { // Deno's, by its name
    return new AssetError(
      `Cannot read ${plain(url)}: the process must have permission to use the network ` +
        `(Deno: --allow-net=${url.host})`,
      { cause },
    );
  }
  const root = cause instanceof AssetError ? cause.cause : cause; // received() wraps it
  const why = root instanceof Error ? `${root.name}: ${root.message}` : String(root);
  return new Interruption(
    `Cannot read ${plain(url)}: the server must answer to the end: current value is ${
      why.split("\n", 1)[0]
    }`,
    { cause },
  );
}
