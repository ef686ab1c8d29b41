import { assertEquals, assertRejects } from "@std/assert";
import { narrowDit } from "../../scripts/make/narrow_models.ts";
import { deviceLost } from "../../src/backend/gpu/lost.ts";
import { BackendError } from "../../src/errors.ts";
import { openLocalRenderer } from "../../src/worker/local_renderer.ts";
import { packError, type Request, unpackError } from "../../src/worker/messages.ts";
import { openRemoteRenderer, type WorkerPort } from "../../src/worker/remote_renderer.ts";
import type { Batch } from "../../src/worker/renderer.ts";
import { reopened } from "../../src/worker/reopened.ts";
import { requires } from "../_shim/requires.ts";

const needs = await requires("a renderer whose GPU is lost", "webgpu");
const BATCH: Batch = { pictures: [{ label: 1, seed: 8, guidance: 4 }], steps: 4 };

Deno.test(
  "a renderer whose GPU is lost says so, and draws the next batches on another",
  needs,
  async () => {
    const renderer = await openLocalRenderer({ model: narrowDit(), backend: "webgpu" });
    const wanted = (await renderer.render(BATCH)).latents.data;
    await renderer.render(BATCH);
    const onStep = ({ index }: { index: number }): void => {
      if (index === 1) loseDevice(); // steps are replayed by now: the runtime is not in the middle of something
    };
    await assertRejects(() => renderer.render(BATCH, { onStep }), BackendError, "device was lost");
    const both = await Promise.all([renderer.render(BATCH), renderer.render(BATCH)]);
    for (const { latents } of both) assertEquals(latents.data, wanted);
    await renderer.close();
    assertEquals(await renderer.counts(), { values: 0, sessions: 0 });
  },
);

/** Destroys the device that is asked for commands next: a renderer shows none. */
function loseDevice(): void {
  const { prototype } = GPUDevice;
  const { createCommandEncoder } = prototype;
  prototype.createCommandEncoder = function (descriptor): GPUCommandEncoder {
    prototype.createCommandEncoder = createCommandEncoder;
    this.destroy();
    return createCommandEncoder.call(this, descriptor);
  };
}

Deno.test("a worker whose GPU is lost is ended, and the next batch is drawn by another", async () => {
  const workers: FakeWorker[] = [];
  const createWorker = (): WorkerPort => {
    workers.push(new FakeWorker(workers.length === 0 ? deviceLost("reset") : undefined));
    return workers.at(-1)!;
  };
  const renderer = await openRemoteRenderer({ createWorker });
  await assertRejects(() => renderer.render(BATCH), BackendError, "its device was lost (reset)");
  await renderer.render(BATCH);
  await renderer.render(BATCH);
  assertEquals(workers.map(({ ended }) => ended), [true, false]);
  await renderer.close();
  assertEquals(workers.map(({ ended }) => ended), [true, true]);
});

/** A worker that opens, and renders or fails to. */
class FakeWorker extends EventTarget implements WorkerPort {
  ended = false;

  constructor(readonly error: Error | undefined) {
    super();
  }

  postMessage(message: unknown): void {
    const { kind, id } = message as Request; // a renderer sends no others
    const failed = kind === "render" && this.error !== undefined;
    const data = failed
      ? { kind: "failed", id, error: packError(this.error) }
      : { kind: "done", id, value: {} };
    queueMicrotask(() => this.dispatchEvent(new MessageEvent("message", { data })));
  }

  terminate(): void {
    this.ended = true;
  }
}

Deno.test("a renderer that cannot be opened again is tried anew for each batch", async () => {
  const lost = { facts: {}, render: () => Promise.reject(deviceLost("gone")) };
  const renderer = { ...lost, close: () => Promise.resolve() } as never; // all that is asked of it
  let tries = 0;
  const again = await reopened(Promise.resolve(renderer), () => {
    tries++;
    return Promise.reject(new BackendError("Cannot open webgpu: there is none."));
  });
  await assertRejects(() => again.render(BATCH), BackendError, "device was lost");
  for (let time = 1; time <= 2; time++) {
    await assertRejects(() => again.render(BATCH), BackendError, "there is none");
    assertEquals(tries, time);
  }
});

Deno.test("any other failure leaves a renderer as it is", async () => {
  const failing = { facts: {}, render: () => Promise.reject(new BackendError("Cannot run x.")) };
  const again = await reopened(Promise.resolve(failing as never), () => Promise.reject()); // as above
  const [first, second] = [again.render(BATCH), again.render(BATCH)];
  for (const run of [first, second]) await assertRejects(() => run, BackendError, "Cannot run x.");
  assertEquals(unpackError(packError(deviceLost("x"))).message, deviceLost("x").message);
});
