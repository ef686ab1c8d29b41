/**
 * The page's side of the HTTP API: keys, errors in words, events that survive a broken connection.
 */

import { readEvents } from "./sse.ts";

/** Where a key is kept and how a person is asked for one. */
export interface KeyRing {
  /** The key, if there is one. */
  get(): string | undefined;
  /** Asks for a key, a wrong one having been tried or not; rejects when there will be none. */
  ask(wrong: boolean): Promise<void>;
}

/** An answer that is no success, in words for people. */
export class ApiError extends Error {
  /** Always `"ApiError"`. */
  override readonly name = "ApiError";
  /** Seconds after which it is worth asking again; `undefined` when it is not. */
  readonly retryAfter: number | undefined;

  constructor(message: string, { retryAfter, cause }: {
    readonly retryAfter?: number | undefined;
    readonly cause?: unknown;
  } = {}) {
    super(message, { cause });
    this.retryAfter = retryAfter;
  }
}

const UNAUTHORIZED = 401;
/** How often a stream that broke is resumed, and milliseconds before that. */
const RESUMES = [250, 1000, 3000] as const;

/** Sends a request to a path of the server. */
export type Send = (path: string, init: RequestInit) => Promise<Response>;

/** The server may be under any path of its host; the page is at its root. */
function sendFromPage(path: string, init: RequestInit): Promise<Response> {
  return fetch(new URL(`.${path}`, document.baseURI), init);
}

/** Talks to the server that the page comes from. */
export class Api {
  constructor(readonly keys: KeyRing, readonly send: Send = sendFromPage) {}

  /** Asks for JSON. @throws {ApiError} When the answer is no success. */
  async json<T>(path: string, init: RequestInit = {}): Promise<T> {
    return await (await this.request(path, init)).json() as T; // page and server are of one package
  }

  /** Sends JSON and asks for JSON. @throws {ApiError} When the answer is no success. */
  async post<T>(path: string, body: unknown): Promise<T> {
    const headers = { "content-type": "application/json" };
    return await this.json<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /**
   * Asks, with the key; without one that fits, a person is asked.
   *
   * @throws {ApiError} When the answer is no success.
   */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    for (;;) {
      const key = this.keys.get();
      const response = await this.#attempt(path, init, key);
      if (response.ok) return response;
      if (response.status !== UNAUTHORIZED) throw await refusal(response);
      await response.body?.cancel();
      if (key === this.keys.get()) await this.keys.ask(key !== undefined); // else it was just given
    }
  }

  /**
   * Events of a stream; when the connection breaks, it goes on after the last one that came.
   *
   * @throws {ApiError} When it cannot be resumed.
   */
  async *events(
    path: string,
    isLast: (event: string) => boolean,
  ): AsyncGenerator<{ readonly event: string; readonly data: unknown }> {
    let id: string | undefined;
    for (let broken = 0;;) {
      const headers = id === undefined ? undefined : { "last-event-id": id };
      const response = await this.request(path, headers === undefined ? {} : { headers });
      try {
        for await (const { event, data, id: last } of readEvents(response.body!)) { // a stream has one
          id = last;
          broken = 0;
          yield { event, data: JSON.parse(data) };
          if (isLast(event)) return;
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // what fetch rejects with when a connection breaks
      }
      const pause = RESUMES[broken++];
      if (pause === undefined) throw new ApiError("The connection to the server broke.");
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #attempt(path: string, init: RequestInit, key: string | undefined): Promise<Response> {
    const headers = new Headers(init.headers);
    if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
    try {
      return await this.send(path, { ...init, headers });
    } catch (cause) {
      init.signal?.throwIfAborted();
      throw new ApiError("The server does not answer. Is it still running?", { cause });
    }
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const said = messageOf(await response.json().catch(() => undefined)); // a proxy's page is not JSON
  const header = response.headers.get("retry-after");
  const retryAfter = header === null ? undefined : Number(header) || undefined;
  if (response.status === 429) {
    const when = retryAfter === undefined ? " Try again later." : "";
    return new ApiError(`The server is busy.${when}`, { retryAfter });
  }
  return new ApiError(said ?? `The server answered with status ${response.status}.`, {
    retryAfter,
  });
}

function messageOf(body: unknown): string | undefined {
  const error: unknown = Reflect.get(Object(body), "error");
  const message: unknown = Reflect.get(Object(error), "message");
  return typeof message === "string" ? message : undefined;
}
