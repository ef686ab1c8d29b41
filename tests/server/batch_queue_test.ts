import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { bodySchemas, parseBody } from "../../src/server/api.ts";
import { type Catalog, makeCatalog } from "../../src/server/catalog.ts";
import { type JobSpec, resolveSpec } from "../../src/server/job_spec.ts";
import { RequestError } from "../../src/server/request_error.ts";
import { BatchQueue, type BatchQueueOptions } from "../../src/server/batch_queue.ts";
import { BROKEN, ToyRenderer, until } from "./toy_renderer.ts";

Deno.test("jobs that are alike and wait are drawn together, each with its own seed and guidance", async () => {
  const { toy, queue, ask } = makeQueue();
  toy.hold();
  const first = queue.submit(ask({ seed: 1 }));
  const others = [ask({ seed: 2, guidance_scale: 3 }), ask({ seed: 30, n: 2, prompt: "shirt" })];
  const jobs = [first, ...others.map((spec) => queue.submit(spec))];
  assertEquals(jobs.map(({ state }) => state), ["running", "queued", "queued"]);
  toy.release();
  await Promise.all(jobs.map(({ ended }) => ended));
  assertEquals(toy.batches.map(({ pictures }) => pictures.map(({ seed }) => seed)), [[1], [
    2,
    30,
    31,
  ]]);
  assertEquals(toy.batches[1]!.pictures[0]!.guidance, 3);
  for (const [i, job] of jobs.entries()) {
    const alone = await new ToyRenderer().render({ pictures: job.spec.pictures, steps: 4 });
    assertEquals(job.result?.latents, alone.latents, `job ${i} has its own pictures`);
    assertEquals(job.result?.images.length, job.spec.pictures.length);
  }
  assertEquals(jobs.map(({ batch }) => batch), [1, 3, 3]);
});

Deno.test("jobs of other steps, plans or guidedness, and more than fit, wait for the next batch", async () => {
  const { toy, queue, ask } = makeQueue({ maxBatch: 3 });
  toy.hold();
  const bodies = [{}, { n: 2 }, { steps: 3 }, { guidance_scale: 1 }, { n: 2 }, {}];
  const jobs = bodies.map((body) => queue.submit(ask(body)));
  toy.release();
  await Promise.all(jobs.map(({ ended }) => ended));
  // the first alone; then 2 + 1 that fit in three; then the others in the order of their first
  assertEquals(toy.batches.map(({ pictures, steps }) => [pictures.length, steps]), [
    [1, 4],
    [3, 4],
    [1, 3],
    [1, 4],
    [2, 4],
  ]);
});

Deno.test("two renderers draw two jobs at once", async () => {
  const toys = [new ToyRenderer(), new ToyRenderer()];
  const { queue, ask } = makeQueue({}, toys);
  toys.forEach((toy) => toy.hold());
  const jobs = [1, 2, 3].map((seed) => queue.submit(ask({ seed })));
  assertEquals([queue.running, queue.waiting], [2, 1]);
  toys.forEach((toy) => toy.release());
  await Promise.all(jobs.map(({ ended }) => ended));
  assertEquals([queue.running, queue.waiting], [0, 0]);
});

Deno.test("a full queue refuses with 429 and the measured time until there is room", async () => {
  const { toy, queue, ask } = makeQueue({ queueLimit: 2 });
  toy.hold();
  const jobs = [1, 2, 3].map((seed) => queue.submit(ask({ seed, steps: 200 })));
  toy.letGo();
  await until(() => jobs[0]!.step === 1); // 10 ms a step: two jobs of 200 steps, half done on average
  const refusal = await assertRejects(async () => await Promise.resolve(queue.submit(ask({}))));
  assert(refusal instanceof RequestError);
  assertEquals([refusal.status, refusal.code], [429, "queue_full"]);
  assertEquals(refusal.headers, { "retry-after": "2" });
  assertEquals(jobs.map((job) => queue.position(job)), [undefined, 0, 1]);
  const [running, next] = jobs.map((job) => queue.eta(job)!);
  assert(Math.abs(running! - 1.99) < 1e-6, `${running}`);
  assert(Math.abs(next! - 3.99) < 1e-6, `${next}`);
  jobs.forEach((job) => job.cancel());
  await queue.drain();
});

Deno.test("clients that a full queue refuses are told one turn after another, until they may come back", async () => {
  let now = 0;
  const { toy, queue, ask } = makeQueue({ queueLimit: 2, maxBatch: 1, now: () => now });
  const refused = (): number => {
    const refusal = assertThrows(() => queue.submit(ask({})), RequestError);
    return Number(refusal.headers["retry-after"]);
  };
  toy.hold();
  const jobs = [1, 2, 3].map((seed) => queue.submit(ask({ seed, steps: 200 })));
  assertEquals([refused(), refused()], [1, 1]); // nothing was measured yet: toys seem fast
  toy.letGo();
  await until(() => jobs[0]!.step === 1); // 10 ms a step: 2 s a job
  assertEquals([refused(), refused()], [6, 8]); // two are to come before them
  now += 1000;
  assertEquals([refused(), refused()], [2, 4]); // they come, too early, and stay before the others
  now += 13_000; // none of the four came: they never will
  assertEquals([1, 2, 3, 4].map(refused), [2, 4, 6, 8]);
  jobs.forEach((job) => job.cancel());
  await queue.drain();
});

Deno.test("a cancelled job that shares a batch is dropped, and the others get their pictures", async () => {
  const { toy, queue, ask } = makeQueue();
  toy.hold();
  const first = queue.submit(ask({ seed: 1 }));
  const [a, b] = [ask({ seed: 2 }), ask({ seed: 3 })].map((spec) => queue.submit(spec));
  first.cancel();
  await until(() => b!.state === "running"); // the first was alone: its batch is over
  a!.cancel();
  toy.release();
  await b!.ended;
  assertEquals([first.state, a!.state, b!.state], ["cancelled", "cancelled", "completed"]);
  assertEquals([toy.batches.length, toy.stopped], [2, 1]);
  assertEquals(a!.result, undefined);
});

Deno.test("a job that waits and is cancelled is never drawn; those behind it move up", async () => {
  const { toy, queue, ask } = makeQueue({ maxBatch: 1 });
  toy.hold();
  const [first, second, third] = [1, 2, 3].map((seed) => queue.submit(ask({ seed })));
  second!.cancel();
  assertEquals(queue.position(third!), 0);
  toy.release();
  await Promise.all([first!.ended, third!.ended]);
  assertEquals(toy.batches.flatMap(({ pictures }) => pictures.map(({ seed }) => seed)), [1, 3]);
});

Deno.test("a job that takes too long fails with 504, whether it waits or runs, and stops its batch", async () => {
  const { toy, queue, ask } = makeQueue({ deadlineSeconds: 0.02, maxBatch: 1 });
  toy.hold();
  const jobs = [1, 2].map((seed) => queue.submit(ask({ seed })));
  await Promise.all(jobs.map(({ ended }) => ended));
  for (const { state, error } of jobs) {
    assertEquals(state, "failed");
    assert(error instanceof RequestError);
    assertEquals([error.status, error.code], [504, "deadline_exceeded"]);
  }
  await until(() => toy.drawing === 0);
  toy.release();
  await queue.drain();
});

Deno.test("what fails fails its own batch only, and the next is drawn", async () => {
  const { toy, queue, ask } = makeQueue({ maxBatch: 1 });
  toy.hold();
  toy.failure = new RangeError("Cannot generate: label must be smaller");
  const jobs = [1, 2].map((seed) => queue.submit(ask({ seed })));
  toy.release();
  await Promise.all(jobs.map(({ ended }) => ended));
  assertEquals(jobs.map(({ state }) => state), ["failed", "completed"]);
  assertEquals(jobs[0]!.error instanceof RangeError, true);
});

Deno.test("a renderer whose device failed is opened anew", async () => {
  const fresh = new ToyRenderer();
  const { toy, queue, ask } = makeQueue({ reopen: () => Promise.resolve(fresh) });
  toy.failure = BROKEN;
  const job = queue.submit(ask({}));
  await job.ended;
  assertEquals([job.state, job.error], ["failed", BROKEN]);
  await until(() => queue.running === 0);
  const next = queue.submit(ask({}));
  await next.ended;
  assertEquals([next.state, toy.batches.length, fresh.batches.length], ["completed", 1, 1]);
});

Deno.test("when no renderer is left, jobs that wait fail and new ones are refused with 503", async () => {
  const { toy, queue, ask } = makeQueue({
    maxBatch: 1,
    reopen: () => Promise.reject(new Error("no device")),
  });
  toy.hold();
  toy.failure = BROKEN;
  const jobs = [1, 2].map((seed) => queue.submit(ask({ seed })));
  toy.release();
  await Promise.all(jobs.map(({ ended }) => ended));
  assertEquals(jobs.map(({ state }) => state), ["failed", "failed"]);
  await until(() => queue.running === 0);
  const refusal = await assertRejects(async () => await Promise.resolve(queue.submit(ask({}))));
  assertEquals(refusal instanceof RequestError && refusal.status, 503);
});

Deno.test("drain() waits for what was begun and refuses what is new; its signal cancels", async () => {
  const { toy, queue, ask } = makeQueue({ maxBatch: 1 });
  toy.hold();
  const jobs = [1, 2].map((seed) => queue.submit(ask({ seed })));
  const stop = new AbortController();
  const drained = queue.drain(stop.signal);
  const refusal = await assertRejects(async () => await Promise.resolve(queue.submit(ask({}))));
  assertEquals(refusal instanceof RequestError && [refusal.status, refusal.code], [
    503,
    "draining",
  ]);
  stop.abort();
  await drained;
  assertEquals(jobs.map(({ state }) => state), ["cancelled", "cancelled"]);
  assertEquals([toy.drawing, toy.batches.length], [0, 1]);
});

Deno.test("a picture that cannot be encoded fails its job", async () => {
  const { queue, ask } = makeQueue();
  const spec = ask({});
  const job = queue.submit({ ...spec, pictures: [{ ...spec.pictures[0]!, guidance: NaN }] });
  await job.ended;
  assertEquals(job.state, "failed"); // NaN is no grey
  assert(job.error instanceof RangeError);
});

interface Made {
  readonly toy: ToyRenderer;
  readonly queue: BatchQueue;
  ask(body: Record<string, unknown>): JobSpec;
}

function makeQueue(
  options: Partial<BatchQueueOptions> = {},
  toys: readonly ToyRenderer[] = [new ToyRenderer()],
): Made {
  const queue = new BatchQueue({ queueLimit: 32, maxBatch: 8, deadlineSeconds: 60, ...options });
  const catalog: Catalog = makeCatalog(toys.map(({ facts }) => facts), []);
  queue.add(toys);
  const { job } = bodySchemas({ steps: 1000, n: 10 });
  return {
    toy: toys[0]!,
    queue,
    ask: (body) =>
      resolveSpec(catalog, parseBody(job, { prompt: "sneaker", ...body }), {
        previews: 0,
        defaults: { plan: "auto", maxSteps: 1000 },
      }),
  };
}
