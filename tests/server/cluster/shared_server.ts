/** Servers that share a queue, for tests: toys draw, leases are short. */
import type { App } from "../../../src/server/app.ts";
import type { AppOptions } from "../../../src/server/app_options.ts";
import { openQueueAt } from "../../../src/server/cluster/queue_at.ts";
import { post, toyApp, ToyRenderer } from "../toy_renderer.ts";
import type { StoreKind, StoreServer } from "./stores.ts";

/** A lost worker is noticed within the sum of both. */
export const SHORT_LEASE = { lockDuration: 1000, stalledInterval: 500 };

/** Options of a server, for how long jobs that ended are kept, and where. */
type SharedOptions = Partial<AppOptions> & {
  readonly keptSeconds?: number;
  readonly results?: string;
};

/** Opens a server; without toys it draws nothing itself. */
export async function sharedApp(
  url: string,
  toys: readonly ToyRenderer[] = [],
  { keptSeconds, results, ...options }: SharedOptions = {},
): Promise<App> {
  const queue = await openQueueAt({ url, lease: SHORT_LEASE, keptSeconds, results });
  return await toyApp(toys, { queue, ...options });
}

/** Waits, by the clock, until a condition holds: a second or two where nothing else runs, other tests do. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  seconds = 60,
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

/** A server that draws nothing, one whose toy draws, and their store. */
export interface Servers {
  readonly store: StoreServer;
  readonly api: App;
  readonly worker: App;
  readonly toy: ToyRenderer;
}

/** Opens them, waits until they are ready, and ends them after use. */
export async function withServers(
  kind: StoreKind,
  use: (servers: Servers) => Promise<void>,
  { durable = false, ...options }: SharedOptions & { readonly durable?: boolean } = {},
): Promise<void> {
  await using store = await kind.start({ durable });
  const toy = new ToyRenderer();
  const worker = await sharedApp(store.url, [toy], options);
  await eventually(() => isReady(worker)); // so that the other need not look again for its model
  const api = await sharedApp(store.url, [], options);
  try {
    await eventually(() => isReady(api));
    await use({ store, api, worker, toy });
  } finally {
    for (const app of [worker, api]) await app.drain(AbortSignal.abort());
  }
}

/** Adds a job; its id. */
export async function addJob(app: App, body: unknown, key?: string): Promise<string> {
  const headers = key === undefined ? undefined : { authorization: `Bearer ${key}` };
  return (await (await post(app, "/v1/jobs", body, headers && { headers })).json()).id;
}

/** Waits for a job's end; what it is then. */
export async function ended(app: App, id: string): Promise<Record<string, unknown>> {
  await (await app.request(`/v1/jobs/${id}/events`)).text();
  return await (await app.request(`/v1/jobs/${id}`)).json();
}
