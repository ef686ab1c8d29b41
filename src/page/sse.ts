/**
 * Server-sent events read from a response: `EventSource` cannot send a key.
 *
 * *Source:* WHATWG HTML, "Server-sent events", parsing an event stream.
 *
 * @module
 */

/** One event. */
export interface ServerEvent {
  /** Its kind; `message` unless given. */
  readonly event: string;
  /** Its data, lines joined. */
  readonly data: string;
  /** The last id seen so far. */
  readonly id: string | undefined;
}

/** Reads events as they come; comments are passed over. Leaving early cancels the body. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const text = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>); // its input is typed wider
  const reader = text.getReader();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it is over already
  }
}

/** Turns text in pieces of any size into events. */
export class EventParser {
  #rest = "";
  #event = "";
  #data: string[] = [];
  #id: string | undefined;

  /** Events that this piece completes. */
  push(text: string): ServerEvent[] {
    const all = this.#rest + text;
    const end = all.endsWith("\r") ? all.length - 1 : all.length; // its \n may be still to come
    const lines = all.slice(0, end).split(/\r\n|\r|\n/);
    this.#rest = lines.pop()! + all.slice(end); // split gives at least one
    return lines.flatMap((line) => this.#line(line));
  }

  #line(line: string): ServerEvent[] {
    if (line === "") return this.#dispatch();
    const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === "data") this.#data.push(value);
    if (field === "event") this.#event = value;
    if (field === "id" && !value.includes("\0")) this.#id = value;
    return [];
  }

  #dispatch(): ServerEvent[] {
    const [event, data] = [this.#event, this.#data];
    [this.#event, this.#data] = ["", []];
    if (data.length === 0) return [];
    return [{ event: event || "message", data: data.join("\n"), id: this.#id }];
  }
}
