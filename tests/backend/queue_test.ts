import { assertEquals, assertRejects } from "@std/assert";
import { inTurn } from "../../src/backend/queue.ts";

Deno.test("inTurn() starts a task when the one before has ended, in the order of the calls", async () => {
  const events: string[] = [];
  const task = (name: string) => async (): Promise<string> => {
    events.push(`${name} starts`);
    await Promise.resolve();
    await Promise.resolve();
    events.push(`${name} ends`);
    return name;
  };
  const results = await Promise.all(["a", "b", "c"].map((name) => inTurn(task(name))));
  assertEquals(results, ["a", "b", "c"]);
  assertEquals(events, ["a", "b", "c"].flatMap((name) => [`${name} starts`, `${name} ends`]));
});

Deno.test("inTurn() gives a failure to its own caller and goes on", async () => {
  const failing = inTurn(() => Promise.reject(new Error("no")));
  const next = inTurn(() => Promise.resolve("next"));
  await assertRejects(() => failing, Error, "no");
  assertEquals(await next, "next");
});
