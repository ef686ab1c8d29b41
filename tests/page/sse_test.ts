import { assertEquals } from "@std/assert";
import { readEvents } from "../../src/page/sse.ts";

const STREAM = ': hello\r\nid: 3\r\nevent: step\r\ndata: {"a":\r\ndata: 1}\r\n\r\n' +
  "data:plain\n\nevent: nothing\n\ndata: no end";
const EVENTS = [
  { event: "step", data: '{"a":\n1}', id: "3" },
  { event: "message", data: "plain", id: "3" },
];

Deno.test("readEvents() reads events whatever the pieces they come in", async () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => {
      return bytes.subarray(i * size, (i + 1) * size);
    });
    const events = await Array.fromAsync(readEvents(ReadableStream.from(pieces)));
    assertEquals(events, EVENTS, `pieces of ${size}`);
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
