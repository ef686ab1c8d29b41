import { assert, assertEquals } from "@std/assert";
import { eventYielder } from "../../src/engine/yield_to_events.ts";

Deno.test("eventYielder() lets events through though the clock stands still", async () => {
  const { now } = performance;
  performance.now = () => 0; // as Cloudflare's does while a request computes
  try {
    const yieldToEvents = eventYielder();
    let seen = false;
    let runs = 0;
    const event = Promise.withResolvers<void>();
    setTimeout(() => {
      seen = true;
      event.resolve();
    }, 0);
    for (; !seen && runs < 10_000; runs++) await yieldToEvents();
    assert(seen, `${runs} runs, and no timer was heard`);
    await event.promise;
  } finally {
    performance.now = now;
  }
});

Deno.test("eventYielder() does not pause for a few short runs", async () => {
  const { now } = performance;
  performance.now = () => 0;
  try {
    const yieldToEvents = eventYielder();
    const order: string[] = [];
    const event = Promise.withResolvers<void>();
    setTimeout(() => event.resolve(), 0);
    void event.promise.then(() => order.push("event"));
    for (let run = 0; run < 20; run++) await yieldToEvents();
    order.push("runs");
    await event.promise;
    await Promise.resolve();
    assertEquals(order, ["runs", "event"]);
  } finally {
    performance.now = now;
  }
});
