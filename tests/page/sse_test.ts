import { assertEquals } from "@std/assert";
import { EventParser, readEvents } from "../../src/page/sse.ts";

const STREAM = ': hello\r\nid: 3\r\nevent: step\r\ndata: {"a":\r\ndata: 1}\r\n\r\n' +
  "data:plain\n\nevent: nothing\n\ndata: no end";
const EVENTS = [
  { event: "step", data: '{"a":\n1}', id: "3" },
  { event: "message", data: "plain", id: "3" },
];

Deno.test("EventParser reads events whatever the pieces they come in", () => {
  for (const size of [1, 2, 3, 7, STREAM.length]) {
    const parser = new EventParser();
    const pieces = STREAM.match(new RegExp(`[^]{1,${size}}`, "g"))!;
    assertEquals(pieces.flatMap((piece) => parser.push(piece)), EVENTS, `pieces of ${size}`);
  }
});

Deno.test("readEvents() reads a body, letters of several bytes too, and cancels it when left", async () => {
  let cancelled = false;
  const bytes = new TextEncoder().encode("data: Größe\n\ndata: more\n\n");
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(bytes.subarray(at, at += 1)),
    cancel: () => void (cancelled = true),
  });
  for await (const { data } of readEvents(body)) {
    assertEquals(data, "Größe");
    break;
  }
  assertEquals(cancelled, true);
});
