import { assertEquals, assertRejects } from "@std/assert";
import { runToEnd } from "../../src/engine/run.ts";

/** Two steps and a result; `ends` gets to know how they ended. */
async function* counting(ends: string[]): AsyncGenerator<number, string, undefined> {
  try {
    yield 1;
    await Promise.resolve();
    yield 2;
    return "result";
  } finally {
    ends.push("freed");
  }
}

Deno.test("runToEnd() gives every step and returns what they come to", async () => {
  const [steps, ends]: [number[], string[]] = [[], []];
  assertEquals(await runToEnd(counting(ends), (step) => void steps.push(step)), "result");
  assertEquals(await runToEnd(counting(ends)), "result");
  assertEquals([steps, ends], [[1, 2], ["freed", "freed"]]);
});

Deno.test("steps free what they hold when who is given them fails, before the error is seen", async () => {
  const ends: string[] = [];
  const fails = (): Promise<void> => Promise.reject(new Error("no room for a preview"));
  await assertRejects(() => runToEnd(counting(ends), fails), Error, "no room for a preview");
  assertEquals(ends, ["freed"]);
});
