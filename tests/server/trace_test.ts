import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import type { AccessEntry, JobEntry } from "../../src/server/log_entries.ts";
import { nextSpan, traceIdOf } from "../../src/server/trace.ts";
import { BROKEN, post, toyApp, ToyRenderer, until } from "./toy_renderer.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;
const SPAN = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const TRACED = { headers: { traceparent: PARENT } };

Deno.test("a span is a new one of the trace that it continues, or of a new trace", () => {
  assertMatch(nextSpan(PARENT), SPAN);
  assertEquals(traceIdOf(nextSpan(PARENT)), TRACE);
  assertNotEquals(nextSpan(PARENT), PARENT);
  assertEquals(nextSpan(PARENT.replace(/01$/, "00")).slice(-2), "00");
  assertEquals(traceIdOf(nextSpan(`${PARENT.replace("00", "cc")}-later`)), TRACE);
  const bad = [
    undefined,
    "",
    PARENT.toUpperCase(),
    PARENT.replace("00-", "ff-"),
    `${PARENT}-more`,
    PARENT.replace(TRACE, "0".repeat(32)),
    PARENT.replace("00f067aa0ba902b7", "0".repeat(16)),
    PARENT.slice(1),
    `${PARENT}\n`,
  ];
  for (const parent of bad) {
    assertMatch(nextSpan(parent), SPAN);
    assertNotEquals(traceIdOf(nextSpan(parent)), TRACE, parent);
  }
});

Deno.test("whatever comes as a parent, a span is well-formed", () => {
  const digits = fc.string({ unit: fc.constantFrom(..."0123456789abcdef-"), maxLength: 60 });
  fc.assert(fc.property(fc.oneof(digits, fc.string()), (parent) => SPAN.test(nextSpan(parent))));
});

Deno.test("an answer, a refusal too, says its span, and the log its trace", async () => {
  const entries: AccessEntry[] = [];
  const app = await toyApp([new ToyRenderer()], { log: (entry) => void entries.push(entry) });
  for (const path of ["/healthz", "/nothing", "/v1/jobs/none"]) {
    const response = await app.request(path, TRACED);
    await response.body?.cancel();
    assertEquals(traceIdOf(response.headers.get("traceparent")!), TRACE, path);
    const { event, trace } = entries.at(-1)!;
    assertEquals([event, trace], ["request", TRACE]);
  }
  const own = (await app.request("/healthz")).headers.get("traceparent")!;
  assertMatch(own, SPAN);
  assertNotEquals(traceIdOf(own), TRACE);
});

Deno.test("a job is of the trace of its request, in its view and in the lines of who draws it", async () => {
  const entries: JobEntry[] = [];
  const toy = new ToyRenderer();
  const app = await toyApp([toy], { logJob: (entry) => void entries.push(entry) });
  const ask = async (): Promise<string> => {
    const job = await (await post(app, "/v1/jobs", { prompt: "sneaker", n: 2 }, TRACED)).json();
    assertEquals(job.trace_id, TRACE);
    await (await app.request(`/v1/jobs/${job.id}/events`)).text();
    return job.id;
  };
  const id = await ask();
  toy.failure = BROKEN;
  await ask();
  assertEquals(
    entries.map(({ event, code }) => [event, code]),
    [
      ["started", undefined],
      ["completed", undefined],
      ["started", undefined],
      ["failed", "backend_failed"],
    ],
  );
  for (const entry of entries) assertEquals([entry.trace, entry.pictures], [TRACE, 2]);
  const { time, waited, ms, ...rest } = entries[1]!;
  assertEquals(rest, { event: "completed", job: id, trace: TRACE, model: "toy", pictures: 2 });
  assert(waited >= 0 && ms! >= 0 && !Number.isNaN(Date.parse(time)));
  toy.hold();
  const streamed = await post(app, "/v1/images/generations", { label: 0, stream: true }, TRACED);
  await until(() => toy.drawing === 1);
  await streamed.body?.cancel();
  await until(() => entries.at(-1)?.event === "cancelled");
  assertEquals(entries.at(-1)!.trace, TRACE);
});
