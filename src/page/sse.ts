/**
 * Server-sent events read from a response: `EventSource` cannot send a key.
 *
 * *Source:* WHATWG HTML, "Server-sent events", parsing an event stream.
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
  let rest = "";
  let id: string | undefined;
  for await (const piece of text) {
    const blocks = (rest + piece).split(/\r\n\r\n|\n\n|\r\r/);
    rest = blocks.pop()!; // split gives at least one
    for (const block of blocks) {
      const fields = block.split(/\r\n|\n|\r/).map((line) => {
        const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
        return { name, value };
      });
      id = fields.findLast(({ name, value }) => name === "id" && !value.includes("\0"))?.value ??
        id;
      const event = fields.findLast(({ name }) => name === "event")?.value || "message";
      const data = fields.filter(({ name }) => name === "data").map(({ value }) => value);
      if (data.length > 0) yield { event, data: data.join("\n"), id };
    }
  }
}
