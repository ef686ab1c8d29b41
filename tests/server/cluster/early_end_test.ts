import { assertEquals } from "@std/assert";
import { createApp } from "../../../src/server/app.ts";
import { openBullQueue } from "../../../src/server/cluster/mod.ts";
import { ToyRenderer } from "../toy_renderer.ts";
import { RedisServer, WITHOUT_REDIS } from "./redis_fixture.ts";
import { SHORT_LEASE } from "./shared_server.ts";

Deno.test({
  name: "a server that ends while its models load, or its Redis is away, goes on with nothing",
  ignore: WITHOUT_REDIS,
  async fn(): Promise<void> {
    await using redis = await RedisServer.start();
    for (const isAway of [false, true]) {
      const queue = await openBullQueue({ url: redis.url, lease: SHORT_LEASE });
      const { promise, resolve } = Promise.withResolvers<ToyRenderer[]>();
      using intervals = new CountedIntervals();
      const app = createApp({ renderers: promise, plans: [], queue });
      if (isAway) await redis.stop();
      const drained = app.drain();
      resolve([new ToyRenderer()]);
      await Promise.all([drained, app.loaded]);
      assertEquals(intervals.running.size, 0);
    }
  },
});

/** Intervals that were begun and not ended, while it is in use. */
class CountedIntervals {
  readonly running: Set<unknown> = new Set();
  readonly #originals = { setInterval, clearInterval };

  constructor() {
    Object.assign(globalThis, {
      setInterval: (call: () => void, milliseconds?: number): unknown => {
        const id = this.#originals.setInterval(call, milliseconds);
        this.running.add(id);
        return id;
      },
      clearInterval: (id: never): void => {
        this.running.delete(id);
        this.#originals.clearInterval(id);
      },
    });
  }

  [Symbol.dispose](): void {
    for (const id of this.running) this.#originals.clearInterval(id as never);
    Object.assign(globalThis, this.#originals);
  }
}
