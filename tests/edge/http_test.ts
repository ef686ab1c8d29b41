/** One suite over HTTP for all that serves: our command, and the service in Deno, Bun, Node and workerd. */
import { requires } from "../_shim/requires.ts";
import { Client } from "./client.ts";
import { CORE_CHECKS } from "./core_checks.ts";
import type { HttpTag } from "./http_check.ts";
import { JOB_CHECKS } from "./job_checks.ts";
import { SERVER_NEEDS, type ServerName, withServer } from "./servers.ts";

/** Isolates forget: workerd serves without jobs. `deno serve` misses clients whose body came after its head. */
const TAGS: Readonly<Record<ServerName, readonly HttpTag[]>> = {
  serve: ["core", "jobs", "watches"],
  deno: ["core", "jobs"],
  bun: ["core", "jobs", "watches"],
  node: ["core", "jobs", "watches"],
  workerd: ["core", "no jobs"],
};

for (const name of ["serve", "deno", "bun", "node", "workerd"] as const) {
  Deno.test({
    ...await requires(`serving from ${name}`, ...SERVER_NEEDS[name]),
    name: `${name} passes the HTTP suite: ${TAGS[name].join(", ")}`,
    fn: async (t) => {
      await withServer(name, async ({ base }) => {
        const client = new Client(base);
        await ready(client);
        for (const { name: what, tag, check } of [...CORE_CHECKS, ...JOB_CHECKS]) {
          if (TAGS[name].includes(tag)) await t.step(what, () => check(client));
        }
      });
    },
  });
}

/** Asks for a route that waits for the model or says 503. */
async function ready(client: Client): Promise<void> {
  for (;;) {
    if ((await client.get("/v1/models")).status === 200) return;
  }
}
