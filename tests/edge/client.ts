/** A client of the service, as thin as can be: what it measures is what a user sees. */
import { assert, assertEquals } from "@std/assert";
import { decode } from "fast-png";

/** One server-sent event. */
export interface ServerEvent {
  /** Number of the event, where it has one. */
  readonly id: string | undefined;
  /** Its kind. */
  readonly event: string;
  // deno-lint-ignore no-explicit-any -- JSON of many shapes, each check looks at its own
  readonly data: any;
}

/** An answer that was read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // deno-lint-ignore no-explicit-any -- as above
  readonly json: any;
}

/** Asks one server. */
export class Client {
  constructor(readonly base: URL) {}

  async get(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(new URL(path, this.base), init);
    const text = await response.text();
    const { status, headers } = response;
    const isJson = headers.get("content-type")?.startsWith("application/json") === true;
    return { status, headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Answer> {
    return this.get(path, { ...json(body), ...init });
  }

  /** The answer to a request for pictures; fails unless it is 200. */
  async generate(body: unknown): Promise<Answer> {
    const answer = await this.post("/v1/images/generations", body);
    assertEquals(answer.status, 200, answer.text);
    return answer;
  }

  /** Events of a stream as they come. */
  async *events(path: string, init: RequestInit = {}): AsyncGenerator<ServerEvent> {
    const response = await fetch(new URL(path, this.base), init);
    assertEquals(response.status, 200);
    assert(response.headers.get("content-type")?.startsWith("text/event-stream"));
    let rest = "";
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + text).split("\n\n");
      rest = blocks.pop()!; // a split has a last part
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event !== undefined) yield event;
      }
    }
  }
}

/** A request with a JSON body. */
export function json(body: unknown): RequestInit {
  return {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

/** Pixels of a PNG in base64. */
export function pixelsOf(base64: string): readonly number[] {
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  return [...decode(bytes).data];
}

/** A block of lines; `undefined` for a heartbeat. */
function parseEvent(block: string): ServerEvent | undefined {
  const field = (name: string): string | undefined => {
    return new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
  };
  const data = field("data");
  if (data === undefined) return undefined;
  return { id: field("id"), event: field("event") ?? "message", data: JSON.parse(data) };
}
