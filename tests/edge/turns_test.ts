import { assertEquals } from "@std/assert";
import { type Turn, Turns, within } from "../../src/edge/turns.ts";

function end(turn: Turn): void {
  if (turn.kind === "turn") turn.end();
}

Deno.test("Turns: each waits for the one before, and no more than the limit wait", async () => {
  const turns = new Turns({ limit: 2, seconds: 60 });
  const order: string[] = [];
  const first = await turns.take();
  const second = turns.take().then((turn) => (order.push("second"), turn));
  const third = turns.take().then((turn) => (order.push("third"), turn));
  assertEquals((await turns.take()).kind, "full");
  order.push("first ends");
  end(first);
  end(await second);
  end(await third);
  assertEquals(order, ["first ends", "second", "third"]);
  assertEquals((await turns.take()).kind, "turn"); // nobody waits any more
});

Deno.test("Turns: who finds no place is told when there is one, by what turns took", async () => {
  let now = 0;
  const turns = new Turns({ limit: 1, seconds: 60, now: () => now });
  const first = await turns.take();
  const second = turns.take();
  const refused = async (): Promise<number> => {
    const turn = await turns.take();
    return turn.kind === "full" ? turn.seconds : 0;
  };
  assertEquals([await refused(), await refused()], [5, 10]); // nothing was measured yet
  now = 1000;
  end(first); // 5 - (5 - 1) / 4
  end(await second);
  const third = await turns.take(); // nobody waits: the place would be wasted
  const fourth = turns.take();
  now = 21_000; // the two are late, and forgotten
  assertEquals([await refused(), await refused()], [3, 6]);
  end(third);
  end(await fourth);
});

Deno.test("Turns: one that never ends is not waited for for ever, nor are those behind it", async () => {
  const turns = new Turns({ limit: 9, seconds: 0.02 });
  assertEquals((await turns.take()).kind, "turn"); // and is gone
  const behind = await Promise.all([turns.take(), turns.take()]);
  assertEquals(behind[0]?.kind, "stuck");
  behind.forEach(end);
  assertEquals((await turns.take()).kind, "turn");
});

Deno.test("within() says whether a promise settles in time, also when it fails", async () => {
  assertEquals(await within(Promise.resolve(), 60), true);
  assertEquals(await within(Promise.reject(new Error("no")), 60), true);
  assertEquals(await within(new Promise(() => {}), 0.001), false);
});
