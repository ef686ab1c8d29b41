/**
 * One request to a hub: redirects followed by hand, so that the token never leaves the hub, and every
 * answer either good, worth another try, or an error that says what to do.
 */

import { AssetError } from "../../errors.ts";
import { joinBytes } from "../../tensor/bytes.ts";
import { parseJson } from "../json.ts";
import { plain, received, request, type RequestOptions } from "../store/ranged_response.ts";
import {
  Interruption,
  retryAfterOf,
  type RetryOptions,
  type Watch,
  watching,
} from "../store/retry.ts";
import type { HubSettings } from "./hub_settings.ts";

export interface HubAccess
  extends
    Pick<HubSettings, "endpoint" | "token">,
    Pick<RequestOptions, "fetch">,
    Pick<RetryOptions, "clock"> {}

export interface Question extends HubAccess, Pick<RequestOptions, "range" | "signal"> {}

/** A good answer: 200 or 206. */
export interface Answer {
  /** What was asked for; a redirect may have led elsewhere. */
  readonly url: URL;
  readonly response: Response;
  /** The sha256 that the hub says the file has, in whichever answer of the chain it said so. */
  readonly linkedHash?: string | undefined;
}

/** Reads an answer and its body. */
export type UseOf<T> = (answer: Answer, body: AsyncIterable<Uint8Array>) => T | Promise<T>;

/** Milliseconds without a byte after which an answer is given up. */
export const PATIENCE_MS = 30_000;

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const MOST_HOPS = 8;
/** What a hub says of a large file, before it leads to where that lies. */
const LINKED_ETAG = "x-linked-etag";
/** Largest JSON of a hub: a page of a listing has 1,000 files. */
const JSON_LIMIT = 1 << 24;

/**
 * Asks, follows to where the answer is, and hands it on with its body, while the server is watched for signs
 * of life; a body that is not read is cancelled.
 *
 * @throws {Interruption} When trying again may help.
 * @throws {AssetError} When it would not; the signal's reason when it is aborted.
 */
export async function asking<T>(
  url: URL,
  question: Question,
  use: UseOf<T>,
): Promise<T> {
  const { clock, signal } = question;
  const watched = { what: plain(url), clock, patience: PATIENCE_MS, signal };
  return await watching(watched, async (watch) => {
    const answer = await ask(url, { ...question, signal: watch.signal });
    const { response } = answer;
    try {
      return await use(answer, watchedBody(url, response, watch));
    } finally {
      if (!response.bodyUsed) await response.body?.cancel().catch(() => undefined); // it broke
    }
  });
}

async function ask(url: URL, question: Question): Promise<Answer> {
  let linkedHash: string | undefined;
  let target = url;
  let token = url.origin === question.endpoint.origin ? question.token : undefined;
  for (let hop = 0; hop <= MOST_HOPS; hop++) {
    const response = await send(target, { ...question, token });
    linkedHash ??= response.headers.get(LINKED_ETAG)?.replaceAll('"', "");
    if (response.ok) return { url, response, linkedHash };
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
 * Reads the JSON of an answer.
 *
 * @throws {AssetError} When it is not JSON or too large.
 */
export async function readJsonAnswer(
  { response, url }: Answer,
  body: AsyncIterable<Uint8Array>,
): Promise<{ readonly json: unknown; readonly response: Response }> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part);
    size += part.length;
    if (size <= JSON_LIMIT) continue;
    throw new AssetError(`Cannot read ${plain(url)}: it must have at most ${JSON_LIMIT} bytes`);
  }
  return { json: parseJson(joinBytes(parts), plain(url)), response };
}

async function* watchedBody(
  url: URL,
  response: Response,
  watch: Watch,
): AsyncGenerator<Uint8Array> {
  for await (const part of received(url, response, watch.signal)) {
    watch.touch();
    yield part;
  }
}

async function send(target: URL, { token, range, signal, fetch }: Question): Promise<Response> {
  const headers = {
    "accept-encoding": "identity", // a range counts the bytes of the file
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const init = { cache: "no-store" } as const; // a browser would keep large files twice
  const options = { signal, fetch, headers, range };
  const response = await request(target, { ...options, init: { ...init, redirect: "manual" } });
  if (response.type !== "opaqueredirect") return response;
  await response.body?.cancel();
  // A browser hides redirects, and drops the token by itself.
  return await request(target, { ...options, init });
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
  const elsewhere = url.origin !== asked.origin; // an expired signed link is replaced when we ask again
  if (status === 408 || status === 429 || status >= 500 || status === 403 && elsewhere) {
    const retryAfter = retryAfterOf(headers.get("retry-after"));
    return new Interruption(`${must}the server must answer 200 or 206: ${got}`, { retryAfter });
  }
  const onHub = asked.origin === question.endpoint.origin;
  const names = onHub && asked.pathname.includes("/api/models/") // a hub says 401 of what it lacks, too
    ? "; check owner, name and revision (a private or gated one needs HF_TOKEN)"
    : "";
  if (status === 401 || status === 403) {
    const may = onHub ? ", or HF_TOKEN must be a token that may read it" : "";
    return new AssetError(`${must}it must be public${may}: ${got}${names}`);
  }
  if (status === 404 || status === 410) {
    return new AbsentError(`${must}it must exist: ${got}${names}`);
  }
  const Refusal = status === 416 ? RangeRefusedError : AssetError;
  return new Refusal(`${must}the server must answer 200 or 206: ${got}`);
}
