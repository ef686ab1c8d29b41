import { assertEquals, assertThrows } from "@std/assert";
import { createApp } from "../../src/server/app.ts";
import { DEFAULT_LIMITS, limitsOf } from "../../src/server/app_options.ts";

Deno.test("limitsOf() takes what is given beside the defaults", () => {
  assertEquals(limitsOf(), DEFAULT_LIMITS);
  assertEquals(limitsOf({ queue: 3, deadlineSeconds: 0.5 }), {
    ...DEFAULT_LIMITS,
    queue: 3,
    deadlineSeconds: 0.5,
  });
});

Deno.test("a server refuses seconds that no timer can hold, which would be over at once", () => {
  for (const seconds of [0, -1, NaN, Infinity, 2 ** 31 / 1000]) {
    const message = (name: string): string =>
      `Cannot make app: limits.${name} must be above 0 and at most 2000000: current value is ${seconds}`;
    const body = { bytes: 1, seconds };
    for (
      const [name, limits] of [
        ["deadlineSeconds", { deadlineSeconds: seconds }],
        ["unwatchedSeconds", { unwatchedSeconds: seconds }],
        ["body.seconds", { body }],
        ["upload.seconds", { upload: body }],
      ] as const
    ) {
      assertThrows(() => createApp({ renderers: [], limits }), RangeError, message(name));
    }
  }
});
