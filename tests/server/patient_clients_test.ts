/** Many clients at once that wait as `Retry-After` says, on a clock of their own: no second passes in truth. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { App } from "../../src/server/app.ts";
import type { AppOptions } from "../../src/server/app_options.ts";
import { PromisedPlaces } from "../../src/server/promised_places.ts";
import type { Batch, Rendered, RenderOptions } from "../../src/worker/renderer.ts";
import { post, toyApp, ToyRenderer } from "./toy_renderer.ts";

Deno.test("100 requests at 64 at once that honour Retry-After: none is lost, two refusals each at most", async () => {
  for (
    const { name, app = {}, workers = 1, seconds } of [
      { name: "a fast model", seconds: 0.05 },
      { name: "the embedded model", seconds: 1.2 },
      { name: "a slow model", seconds: 10 },
      { name: "two renderers", workers: 2, seconds: 1.2 },
      { name: "one picture at a time", app: { limits: { batch: 1 } }, seconds: 0.5 },
      { name: "a short queue", app: { limits: { queue: 8 } }, seconds: 0.4 },
      { name: "a rate", app: { rateLimit: { perMinute: 60, burst: 10 } }, seconds: 0.05 },
    ] satisfies readonly (Partial<Crowd> & { readonly name: string; readonly seconds: number })[]
  ) {
    const { answered, refusals, most } = await crowd({ app, workers, seconds });
    assertEquals(answered, 100, name);
    assert(refusals <= 200, `${name}: ${refusals} refusals`);
    assert(most <= 10, `${name}: one client was refused ${most} times`);
  }
});

Deno.test("a promise is kept: who comes when it said finds a place, whoever else asks meanwhile", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 20 }), // clients that wait
    fc.integer({ min: 1, max: 30 }), // tenths of a second from one free place to the next
    fc.array(fc.boolean(), { maxLength: 200 }), // whether another asks at each of so many tenths
    (clients, tenths, others) => {
      let now = 0;
      let taken = 0; // every place that becomes free is given away at most once
      const places = new PromisedPlaces({ most: 1e6, now: () => now });
      const ask = (): number | undefined => {
        const made = Math.floor(now / 100 / tenths);
        const wait = places.ask({
          free: made - taken,
          urgent: false,
          secondsUntil: (place) => ((made + 1 + place) * tenths * 100 - now) / 1000,
        });
        if (wait === undefined) taken++;
        return wait;
      };
      const due = Array.from({ length: clients }, () => ask()! * 1000);
      for (now = 0; now <= Math.max(...due); now += 100) {
        for (const _ of due.filter((time) => time === now)) assertEquals(ask(), undefined);
        if (others[now / 100] === true) ask();
      }
    },
  ));
});

Deno.test("a promise that nobody redeems is forgotten, and work that would run out is not held back", () => {
  let now = 0;
  const places = new PromisedPlaces({ most: 60, now: () => now });
  const ask = (free: number, urgent = false): number | undefined =>
    places.ask({ free, urgent, secondsUntil: (place) => 2 * (place + 1) });
  assertEquals([ask(0), ask(0), ask(0)], [2, 4, 6]);
  assertEquals(ask(1), 6); // it is promised: three are before this one, of whom one finds a place now
  assertEquals(ask(1, true), undefined);
  now = 20_000;
  assertEquals(ask(1), undefined);
  assertEquals(Array.from({ length: 40 }, () => ask(0)).at(-1), 60); // no longer than is allowed
});

interface Crowd {
  readonly app: Partial<Pick<AppOptions, "rateLimit">> & {
    readonly limits?: { readonly batch?: number; readonly queue?: number };
  };
  readonly workers: number;
  /** That a picture takes. */
  readonly seconds: number;
}

/** 100 requests by 64 clients. */
async function crowd(
  { app: options, workers, seconds }: Crowd,
): Promise<{ readonly answered: number; readonly refusals: number; readonly most: number }> {
  const clock = new Clock();
  const { now } = Date;
  const { now: elapsed } = performance;
  Date.now = performance.now = () => clock.now;
  try {
    const toys = Array.from({ length: workers }, () => new SlowToy(clock, seconds));
    const app = await toyApp(toys, options);
    const refused: number[] = [];
    const seeds = Array.from({ length: 100 }, (_, seed) => seed);
    let open = 0;
    const request = async (seed: number): Promise<void> => {
      for (let times = 0;; times++) {
        open++;
        const response = await post(app, "/v1/images/generations", { label: 0, seed });
        await response.body?.cancel();
        open--;
        if (response.status === 200) return void refused.push(times);
        await clock.sleep(Number(response.headers.get("retry-after")) + seed / 1000);
      }
    };
    const client = async (): Promise<void> => {
      for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) await request(seed);
    };
    const clients = Promise.all(Array.from({ length: 64 }, client));
    while (refused.length < 100) {
      await until(app, () => open);
      clock.advance();
    }
    await clients;
    const refusals = refused.reduce((sum, times) => sum + times, 0);
    return { answered: refused.length, refusals, most: Math.max(...refused) };
  } finally {
    Date.now = now;
    performance.now = elapsed;
  }
}

/** Waits until every open request is in the queue or drawn: the rest of the work is done. */
async function until(app: App, open: () => number): Promise<void> {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    const text = await (await app.request("/metrics")).text();
    const count = (name: string): number =>
      Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1]);
    if (count("invardiff_queue_depth") + count("invardiff_jobs_running") === open()) return;
  }
}

/** A clock that stands still until it is told to go on. */
class Clock {
  now = 0;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  async sleep(seconds: number): Promise<void> {
    const at = this.now + seconds * 1000;
    await new Promise<void>((wake) => this.#sleepers.push({ at, wake }));
  }

  /** To the moment at which the next one wakes. */
  advance(): void {
    const next = this.#sleepers.toSorted((a, b) => a.at - b.at)[0];
    if (next === undefined) return;
    this.now = next.at;
    this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next);
    next.wake();
  }
}

/** A toy whose steps take time of the clock, more for more pictures. */
class SlowToy extends ToyRenderer {
  constructor(readonly clock: Clock, readonly seconds: number) {
    super();
  }

  override async render(batch: Batch, options: RenderOptions = {}): Promise<Rendered> {
    const seconds = this.seconds / batch.steps * batch.pictures.length;
    const rendered = await super.render(batch);
    for (let index = 0; index < batch.steps; index++) {
      await this.clock.sleep(seconds);
      options.signal?.throwIfAborted();
      options.onStep?.({ index, steps: batch.steps, kind: "full", seconds, keptBytes: 8 });
    }
    return rendered;
  }
}
