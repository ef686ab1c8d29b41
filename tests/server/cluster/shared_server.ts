/** Servers that share a queue, for tests: toys draw, leases are short. */
import type { App } from "../../../src/server/app.ts";
import type { AppOptions } from "../../../src/server/app_options.ts";
import { openBullQueue } from "../../../src/server/cluster/mod.ts";
import { toyApp, type ToyRenderer } from "../toy_renderer.ts";

/** A lost worker is noticed within the sum of both. */
export const SHORT_LEASE = { lockDuration: 1000, stalledInterval: 500 };

/** Opens a server; without toys it draws nothing itself. */
export async function sharedApp(
  url: string,
  toys: readonly ToyRenderer[] = [],
  { keptSeconds, ...options }: Partial<AppOptions> & { readonly keptSeconds?: number } = {},
): Promise<App> {
  const queue = await openBullQueue({ url, lease: SHORT_LEASE, keptSeconds });
  return await toyApp(toys, { queue, ...options });
}

/** Waits, by the clock, until a condition holds. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  seconds = 20,
): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the condition did not hold within ${seconds} s`);
}

/** Whether a server is ready. */
export async function isReady(app: App): Promise<boolean> {
  return (await app.request("/readyz")).status === 200;
}
