/**
 * Server-sent events: events as they come, heartbeats in between, an end when the client leaves.
 */

import type { Context } from "npm:hono@4.13.19";
import { streamSSE } from "npm:hono@4.13.19/streaming";
import { refusalOf } from "./request_error.ts";

export interface StreamEvent {
  /** What `Last-Event-ID` will name. */
  readonly id?: number;
  readonly event: string;
  readonly data: unknown;
}

/** Proxies and runtimes (Bun after 10 s) cut streams that are silent. */
const HEARTBEAT_MS = 5000;

/**
 * Answers with a stream of events. `events` gets a signal that is aborted when the client leaves. An error
 * becomes an event `error` with the same envelope that a response would have had.
 */
export function sendEvents(
  context: Context,
  events: (signal: AbortSignal) => AsyncIterable<StreamEvent>,
): Response {
  context.header("content-encoding", "identity"); // a compressing proxy would hold events back
  context.header("x-accel-buffering", "no");
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  const { signal } = context.req.raw;
  return streamSSE(context, async (stream) => {
    stream.onAbort(leave);
    signal.addEventListener("abort", leave, { once: true });
    const heartbeat = setInterval(() => void stream.write(": still here\n\n"), HEARTBEAT_MS);
    try {
      for await (const { id, event, data } of events(gone.signal)) {
        const numbered = id === undefined ? {} : { id: `${id}` };
        await stream.writeSSE({ ...numbered, event, data: JSON.stringify(data) });
      }
    } catch (error) {
      const { body } = refusalOf(error);
      await stream.writeSSE({ event: "error", data: JSON.stringify(body) });
    } finally {
      clearInterval(heartbeat);
      signal.removeEventListener("abort", leave);
    }
  });
}
