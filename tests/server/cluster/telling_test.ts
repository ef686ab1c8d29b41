/** What servers and workers of a shared queue tell of jobs: traces, logs and metrics. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { App } from "../../../src/server/app.ts";
import { digestOf } from "../../../src/server/key_digest.ts";
import type { AccessEntry, JobEntry } from "../../../src/server/log_entries.ts";
import { post } from "../toy_renderer.ts";
import { addJob, ended, eventually, withServers } from "./shared_server.ts";
import { overStores } from "./stores.ts";

const SNEAKER = { prompt: "sneaker", seed: 7, steps: 3 };
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const KEY = "a-key-of-sixteen-letters";

overStores(
  "a request's trace goes with its job to the worker, into its log, and back to who asks",
  async (kind) => {
    const requests: AccessEntry[] = [];
    const jobs: JobEntry[] = [];
    await withServers(kind, async ({ api, worker }) => {
      const headers = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` };
      const added = await post(api, "/v1/jobs", SNEAKER, { headers });
      assertMatch(added.headers.get("traceparent")!, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
      const { id, trace_id } = await added.json();
      assertEquals([trace_id, (await ended(worker, id))["trace_id"]], [TRACE, TRACE]);
      const own = jobs.filter(({ job }) => job === id);
      assertEquals(own.map(({ event, trace }) => [event, trace]), [
        ["started", TRACE],
        ["completed", TRACE],
      ]);
      const asked = requests.find(({ method }) => method === "POST")!;
      assertEquals([asked.path, asked.trace], ["/v1/jobs", TRACE]);
    }, { log: (entry) => void requests.push(entry), logJob: (entry) => void jobs.push(entry) });
  },
);

overStores(
  "metrics of any server say whose jobs wait; those of a worker, how long each waited",
  async (kind) => {
    await withServers(kind, async ({ api, worker, toy }) => {
      toy.hold();
      const first = await addJob(api, SNEAKER, KEY);
      await eventually(() => toy.drawing === 1);
      const second = await addJob(api, { ...SNEAKER, seed: 8 }, KEY);
      const key = digestOf(KEY).slice(0, 8);
      for (const app of [api, worker]) {
        assertEquals(await metric(app, "invardiff_queue_depth"), 1);
        assertEquals(await metric(app, `invardiff_key_queue_depth{key="${key}"}`), 1);
      }
      await new Promise((resolve) => setTimeout(resolve, 300));
      toy.release();
      const headers = { authorization: `Bearer ${KEY}` };
      let waited = 0; // by the store's clock, as jobs say it
      for (const id of [first, second]) {
        await (await api.request(`/v1/jobs/${id}/events`, { headers })).text();
        const job = await (await api.request(`/v1/jobs/${id}`, { headers })).json();
        waited += job.started_at - job.created_at;
      }
      await eventually(async () => await metric(worker, "invardiff_pictures_total") === 2);
      assertEquals(await metric(worker, "invardiff_job_wait_seconds_count"), 2);
      const told = await metric(worker, "invardiff_job_wait_seconds_sum");
      assert(
        waited >= 0.3 && told > waited - 0.01,
        `${told} s, of ${waited} s in the shared queue`,
      );
      assertEquals(await metric(api, "invardiff_queue_depth"), 0);
    }, { apiKeys: [KEY] });
  },
);

overStores(
  "a worker counts the leases that it loses, and the jobs that it takes from lost workers",
  async (kind) => {
    await withServers(kind, async ({ store, api, worker, toy }) => {
      toy.hold();
      const id = await addJob(api, SNEAKER);
      await eventually(() => toy.drawing === 1);
      await store.giveTicket(id, "another"); // as a rescuer leaves it
      await eventually(async () => await metric(worker, "invardiff_lost_leases_total") === 1);
      await store.giveTicket(id, undefined); // and is gone
      toy.release();
      assertEquals((await ended(api, id))["state"], "completed");
      await eventually(async () => await metric(worker, "invardiff_job_retries_total") === 1);
    });
  },
);

/** Value of a series; 0 before it was counted. */
async function metric(app: App, series: string): Promise<number> {
  const headers = { authorization: `Bearer ${KEY}` };
  const text = await (await app.request("/metrics", { headers })).text();
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length) ?? 0);
}
