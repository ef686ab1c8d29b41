import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Progress, startProgress } from "../../src/cli/progress.ts";

interface Recording {
  readonly progress: Progress;
  readonly written: string[];
  /** Turns the clock. */
  readonly wait: (seconds: number) => void;
}

function record(total: number, { isTty }: { readonly isTty: boolean }): Recording {
  const written: string[] = [];
  let clock = 12_345; // milliseconds; any beginning will do
  const progress = startProgress(total, {
    write: (text) => written.push(text),
    isTty,
    now: () => clock,
  });
  return { progress, written, wait: (seconds) => void (clock += seconds * 1000) };
}

/** The same total every time, half a second per step. */
function run({ progress, wait }: Recording, steps: number): void {
  for (let done = 1; done <= steps; done++) {
    wait(0.5);
    progress.step(done);
  }
}

Deno.test("startProgress() redraws one line with bar, step, seconds per step and ETA on a TTY", () => {
  const recording = record(4, { isTty: true });
  run(recording, 4);
  recording.progress.finish();
  assertEquals(recording.written, [
    "\r[........................] 0/4\x1b[K",
    "\r[######..................] 1/4  0.500 s/step  ETA 2 s\x1b[K",
    "\r[############............] 2/4  0.500 s/step  ETA 1 s\x1b[K",
    "\r[##################......] 3/4  0.500 s/step  ETA 1 s\x1b[K",
    "\r[########################] 4/4  0.500 s/step  took 2 s\x1b[K",
    "\n",
  ]);
});

Deno.test("startProgress() keeps the redrawn line below 80 columns", () => {
  const recording = record(1000, { isTty: true });
  recording.wait(40_000);
  recording.progress.step(999);
  recording.wait(400_000);
  recording.progress.step(999);
  const longest = Math.max(...recording.written.map((line) => line.length));
  assert(longest < 80, `${longest}`);
});

Deno.test("startProgress() writes plain lines, the last step included, when it is not a TTY", () => {
  const recording = record(20, { isTty: false });
  run(recording, 20);
  recording.progress.finish();
  assertEquals(recording.written.length, 10);
  assertEquals(recording.written[0], "step 2/20  0.500 s/step  ETA 9 s\n");
  assertEquals(recording.written.at(-1), "step 20/20  0.500 s/step  took 10 s\n");
});

Deno.test("startProgress() writes at most ten plain lines for any number of steps", () => {
  for (let total = 1; total <= 120; total++) {
    const recording = record(total, { isTty: false });
    run(recording, total);
    recording.progress.finish();
    assert(recording.written.length <= 10, `${total} steps: ${recording.written.length} lines`);
    assert(recording.written.at(-1)?.startsWith(`step ${total}/${total} `));
  }
});

Deno.test("startProgress() speaks of minutes and hours when it takes that long", () => {
  const recording = record(4, { isTty: false });
  recording.wait(50);
  recording.progress.step(1);
  recording.wait(4950);
  recording.progress.step(2);
  assertEquals(recording.written, [
    "step 1/4  50.0 s/step  ETA 2 min 30 s\n",
    "step 2/4  2500.0 s/step  ETA 1 h 23 min\n",
  ]);
});

Deno.test("abort() ends the line and says after which step it stopped", () => {
  const onTty = record(9, { isTty: true });
  run(onTty, 3);
  onTty.progress.abort();
  assertEquals(onTty.written.slice(-2), ["\n", "stopped after step 3/9\n"]);

  const plain = record(9, { isTty: false });
  plain.progress.abort();
  assertEquals(plain.written, ["stopped after step 0/9\n"]);
});

Deno.test("startProgress() is silent after its one end", () => {
  const recording = record(3, { isTty: true });
  run(recording, 3);
  recording.progress.finish();
  const { length } = recording.written;
  recording.progress.finish();
  recording.progress.abort();
  recording.progress.step(3);
  assertEquals(recording.written.length, length);
});

Deno.test("startProgress() refuses a total that is not a whole number above 0", () => {
  for (const total of [0, -1, 1.5, NaN]) {
    assertThrows(() => record(total, { isTty: true }), RangeError, "total must be");
  }
});
