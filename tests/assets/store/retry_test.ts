import { assertEquals, assertRejects } from "@std/assert";
import {
  abortable,
  CLOCK,
  Interruption,
  persist,
  retryAfterOf,
} from "../../../src/assets/store/retry.ts";
import { AssetError } from "../../../src/errors.ts";
import { fakeClock } from "./fake_clock.ts";

const fails = (): Promise<never> => Promise.reject(new Interruption("not now"));

Deno.test("persist() waits about 0.5, 1, 2, 4, 8 s and then throws what it heard last", async () => {
  const clock = fakeClock();
  await assertRejects(() => persist(fails, { clock }), AssetError, "not now");
  const doubled = clock.slept.map((slept, i) => Math.round(slept / (500 * 2 ** i)));
  assertEquals(doubled, [1, 1, 1, 1, 1]);
});

Deno.test("persist() throws what cannot get better at once", async () => {
  const clock = fakeClock();
  const broken = (): Promise<never> => Promise.reject(new RangeError("never"));
  await assertRejects(() => persist(broken, { clock }), RangeError, "never");
  assertEquals(clock.slept, []);
});

Deno.test("persist() stops waiting with the reason of its signal", async () => {
  const abort = new AbortController();
  const work = persist(fails, {
    clock: CLOCK, // waits at least 250 ms, or not at all
    signal: abort.signal,
    onRetry: () => abort.abort(new RangeError("enough")),
  });
  await assertRejects(() => work, RangeError, "enough");
});

Deno.test("retryAfterOf() reads seconds and dates", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  assertEquals(retryAfterOf("12", now), 12_000);
  assertEquals(retryAfterOf("Thu, 01 Jan 2026 00:00:30 GMT", now), 30_000);
  assertEquals(retryAfterOf("Wed, 31 Dec 2025 00:00:30 GMT", now), 0);
  assertEquals(retryAfterOf("soon", now), undefined);
  assertEquals(retryAfterOf(null, now), undefined);
});

Deno.test("abortable() rejects at once with the reason, and leaves the work alone", async () => {
  const abort = new AbortController();
  const work = Promise.withResolvers<number>();
  const waiting = abortable(work.promise, abort.signal);
  abort.abort(new RangeError("enough"));
  await assertRejects(() => waiting, RangeError, "enough");
  work.resolve(5);
  assertEquals(await abortable(work.promise, undefined), 5);
});
