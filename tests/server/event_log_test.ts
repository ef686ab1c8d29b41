import { assertEquals } from "@std/assert";
import { EventLog } from "../../src/server/event_log.ts";

Deno.test("follow() gives what happened and what happens, to each reader from where it stood", async () => {
  const log = new EventLog();
  const { signal } = new AbortController();
  log.append("a", 1);
  log.append("b", 2);
  const early = collect(log, 0, signal);
  const late = collect(log, 1, signal);
  await Promise.resolve();
  log.append("c", 3);
  log.end();
  assertEquals(await early, ["1 a 1", "2 b 2", "3 c 3"]);
  assertEquals(await late, ["2 b 2", "3 c 3"]);
  assertEquals(await collect(log, 3, signal), []);
});

Deno.test("follow() ends when its reader leaves, and lets the others be", async () => {
  const log = new EventLog();
  const leaving = new AbortController();
  const left = collect(log, 0, leaving.signal);
  const staying = collect(log, 0, new AbortController().signal);
  log.append("a", 1);
  await new Promise((resolve) => setTimeout(resolve, 0));
  leaving.abort();
  assertEquals(await left, ["1 a 1"]);
  log.append("b", 2);
  log.end();
  assertEquals(await staying, ["1 a 1", "2 b 2"]);
});

Deno.test("append() replaces the earlier event of a topic; ids go on", async () => {
  const log = new EventLog();
  for (const data of [1, 2, 3]) {
    log.append("preview", data, "preview");
    log.append("step", data);
  }
  log.end();
  assertEquals(await collect(log, 0, new AbortController().signal), [
    "2 step 1",
    "4 step 2",
    "5 preview 3",
    "6 step 3",
  ]);
});

async function collect(log: EventLog, after: number, signal: AbortSignal): Promise<string[]> {
  const seen: string[] = [];
  for await (const { id, event, data } of log.follow(after, signal)) {
    seen.push(`${id} ${event} ${data}`);
  }
  return seen;
}
