import { assertEquals } from "@std/assert";
import { createApp } from "../../../src/server/app.ts";
import { openQueueAt } from "../../../src/server/cluster/queue_at.ts";
import { ToyRenderer } from "../toy_renderer.ts";
import { overStores } from "./stores.ts";
import { SHORT_LEASE } from "./shared_server.ts";

overStores(
  "a server that ends while its models load, or its store is away, goes on with nothing",
  async (kind) => {
    await using store = await kind.start();
    for (const isAway of [false, true]) {
      const queue = await openQueueAt({ url: store.url, lease: SHORT_LEASE });
      const { promise, resolve } = Promise.withResolvers<ToyRenderer[]>();
      using intervals = new CountedIntervals();
      const app = createApp({ renderers: promise, plans: [], queue });
      if (isAway) await store.stop();
      const drained = app.drain();
      resolve([new ToyRenderer()]);
      await Promise.all([drained, app.loaded]);
      assertEquals(intervals.running.size, 0);
    }
  },
);

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
