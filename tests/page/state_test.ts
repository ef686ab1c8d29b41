import { assertEquals } from "@std/assert";
import {
  announcement,
  IDLE,
  isBusy,
  ownSpeedup,
  progressOf,
  reduce,
  type RunAction,
  type RunState,
  statusLine,
} from "../../src/page/state.ts";

function after(...actions: readonly RunAction[]): RunState {
  return actions.reduce(reduce, IDLE);
}
const ASKED: RunAction = { kind: "asked", pass: "planned" };
const STARTED: RunAction = { kind: "started", kinds: ["full", "mixed", "mixed", "mixed"] };
function step(index: number, seconds: number): RunAction {
  const eta = 3 - index;
  return { kind: "step", index, seconds, elapsed: index + 1, eta };
}

Deno.test("a run is told turn by turn, its steps in sight but not aloud", () => {
  const queue = after(ASKED, { kind: "queued", ahead: 2, eta: 12.3 });
  assertEquals([statusLine(queue), progressOf(queue), isBusy(queue)], [
    "Place 3 in the queue, drawn in about 12.3 s…",
    undefined,
    true,
  ]);
  const next = after(ASKED, { kind: "queued", ahead: 0, eta: undefined });
  assertEquals(statusLine(next), "Next in line…");
  const why = "The server is busy.";
  assertEquals(
    statusLine(after(ASKED, { kind: "refused", why, seconds: 3 })),
    "The server is busy. This page asks again in 3 s…",
  );
  const running = after(ASKED, STARTED, step(0, 1), step(1, 0.1));
  assertEquals(statusLine(running), "Step 2 of 4, reused in part · 2.00 s left");
  assertEquals(progressOf(running), 0.5);
  assertEquals(announcement(running), announcement(after(ASKED, STARTED)));
  const finished = reduce(running, { kind: "finished", seconds: 1.5 });
  assertEquals([statusLine(finished), progressOf(finished)], ["4 steps in 1.50 s.", 1]);
  assertEquals(isBusy(finished), false);
});

Deno.test("loading counts bytes up to nine tenths, then the prompt, then graphs", () => {
  const bytes = after(ASKED, { kind: "loading", what: "bytes", done: 5e6, total: 10e6 });
  assertEquals(progressOf(bytes), 0.45);
  assertEquals(statusLine(bytes), "Loading the model into this browser, 5.0 of 10.0 MB");
  const graphs = after(ASKED, { kind: "loading", what: "graphs", done: 13, total: 26 });
  assertEquals(progressOf(graphs)?.toFixed(3), "0.975");
  assertEquals(statusLine(graphs), "Preparing the model, 13 of 26 graphs");
  assertEquals(announcement(bytes), announcement(graphs));
});

Deno.test("a prompt that is read shows how far, is not said aloud, and ends with the first step", () => {
  const reading = after(ASKED, STARTED, { kind: "loading", what: "prompts", done: 3, total: 12 });
  assertEquals(statusLine(reading), "Reading the prompt, 3 of 12 graphs");
  assertEquals([progressOf(reading)?.toFixed(4), isBusy(reading)], ["0.9125", true]);
  assertEquals(announcement(reading), announcement(after(ASKED, STARTED)));
  const running = reduce(reading, step(0, 1));
  assertEquals([statusLine(running), progressOf(running)], [
    "Step 1 of 4, computed · 3.00 s left",
    0.25,
  ]);
});

Deno.test("failure and cancelling say so and leave the page ready", () => {
  const failed = after(ASKED, { kind: "failed", message: "The server is busy." });
  assertEquals([statusLine(failed), isBusy(failed)], ["The server is busy.", false]);
  const cancelled = after(ASKED, STARTED, step(0, 1), { kind: "cancelled" });
  assertEquals([statusLine(cancelled), isBusy(cancelled)], ["Cancelled after 1 step.", false]);
  assertEquals(statusLine(after(ASKED, { kind: "cancelled" })), "Cancelled.");
  const full = after({ kind: "asked", pass: "full" }, STARTED);
  assertEquals(statusLine(full), "Full computation: step 0 of 4");
});

Deno.test("a picture of several says which it is, from asking to its end", () => {
  const asked: RunAction = {
    ...ASKED,
    kind: "asked",
    pass: "planned",
    place: { picture: 2, of: 4 },
  };
  assertEquals(statusLine(after(asked)), "Picture 2 of 4 · Asking…");
  const running = after(asked, STARTED, step(0, 1));
  assertEquals(statusLine(running), "Picture 2 of 4 · Step 1 of 4, computed · 3.00 s left");
  assertEquals(announcement(running), "Picture 2 of 4 · Step, 4 in all.");
  assertEquals(
    statusLine(reduce(running, { kind: "cancelled" })),
    "Picture 2 of 4 · Cancelled after 1 step.",
  );
  const shown = reduce(running, { kind: "shown", words: "Restored." });
  assertEquals([statusLine(shown), isBusy(shown), shown.phase], ["Restored.", false, "finished"]);
});

Deno.test("ownSpeedup() holds a run's time against what its full steps would have taken", () => {
  assertEquals(ownSpeedup(after(ASKED, STARTED, step(0, 1))), undefined);
  assertEquals(ownSpeedup(after(ASKED, STARTED, step(0, 1), step(1, 0.25))), 2 / 1.25);
  assertEquals(ownSpeedup(IDLE), undefined);
});

Deno.test("ownSpeedup() of a plan with times of its own counts the steps that it spares", () => {
  const asked: RunAction = { kind: "asked", pass: "planned", inFull: 12 };
  const started: RunAction = { kind: "started", kinds: ["full", "full", "full", "full"] };
  assertEquals(ownSpeedup(after(asked, started)), undefined);
  assertEquals(ownSpeedup(after(asked, started, step(0, 1), step(1, 1))), 3);
  assertEquals(ownSpeedup(after({ ...asked, inFull: 4 }, started, step(0, 1))), undefined);
});
