/** Servers and workers whose clocks are minutes apart: the store's decides. */
import { assert, assertEquals } from "@std/assert";
import { ToyRenderer } from "../toy_renderer.ts";
import { DrawingProcess } from "./drawing.ts";
import { addJob, ended, eventually, isReady, sharedApp } from "./shared_server.ts";
import { overStores } from "./stores.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };
const MINUTES = 60_000;

for (const ahead of [20 * MINUTES, -20 * MINUTES]) {
  const words = ahead > 0 ? "ahead" : "behind";
  overStores(
    `a worker whose clock is 20 minutes ${words} draws, and hands back at once`,
    async (kind) => {
      await using store = await kind.start();
      const api = await sharedApp(store.url);
      const quick = new DrawingProcess(store.url, 20, ahead);
      await quick.tells(/ready/);
      await eventually(() => isReady(api));
      const began = Date.now() / 1000;
      const id = await addJob(api, SNEAKER);
      const { state, created_at, started_at, finished_at } = await ended(api, id);
      assertEquals(state, "completed");
      const times = [began - 1, created_at, started_at, finished_at, Date.now() / 1000 + 1];
      assert(times.every((time, i) => i === 0 || Number(times[i - 1]) <= Number(time)), `${times}`);
      await quick.stop("SIGTERM");

      const slow = new DrawingProcess(store.url, 100_000, ahead);
      await slow.tells(/ready/);
      const open = await addJob(api, { ...SNEAKER, seed: 8 });
      await slow.tells(/draws 8/);
      await new Promise((resolve) => setTimeout(resolve, 6000)); // its keeper looks every five seconds
      const other = await sharedApp(store.url, [new ToyRenderer()]);
      const told = Date.now();
      await slow.stop("SIGTERM");
      assertEquals((await ended(api, open))["state"], "completed");
      assert(Date.now() - told < 3000, "without waiting for a clock");
      for (const app of [other, api]) await app.drain();
    },
  );
}
