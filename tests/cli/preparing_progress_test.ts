import { assertEquals } from "@std/assert";
import type { Preparing } from "../../src/engine/preparing.ts";
import { startPreparing } from "../../src/cli/preparing_progress.ts";

/** What is written of events at these milliseconds, and at the end. */
function written(isTty: boolean, events: readonly (readonly [at: number, Preparing])[]): string[] {
  const lines: string[] = [];
  let clock = 0;
  const { hear, end } = startPreparing({
    write: (text) => void lines.push(text),
    isTty,
    now: () => clock,
  });
  for (const [at, progress] of events) {
    clock = at;
    hear(progress);
  }
  end();
  end();
  return lines;
}

function prompts(done: number): Preparing {
  return { what: "prompts", done, total: 9 };
}

Deno.test("a terminal shows at once what is prepared, at most ten times a second, and the last of it", () => {
  const graphs = { what: "graphs", done: 1, total: 4 } as const;
  const lines = written(true, [
    ...[[0, prompts(1)], [40, prompts(2)], [100, prompts(3)], [110, prompts(9)]] as const,
    [250, graphs],
  ]);
  assertEquals(lines, [
    "\rencoding prompts 1/9\x1b[K",
    "\rencoding prompts 3/9\x1b[K",
    "\rencoding prompts 9/9\x1b[K",
    "\rloading graphs 1/4\x1b[K",
    "\r\x1b[K",
  ]);
});

Deno.test("a log has a line of what takes long, and none of what is quick", () => {
  assertEquals(written(false, [[10, prompts(1)], [4000, prompts(9)]]), []);
  assertEquals(written(false, [[6000, prompts(1)], [7000, prompts(2)], [12000, prompts(3)]]), [
    "encoding prompts 1/9\n",
    "encoding prompts 3/9\n",
  ]);
});

Deno.test("nothing is written where nothing was prepared", () => {
  assertEquals([written(true, []), written(false, [])], [[], []]);
});
