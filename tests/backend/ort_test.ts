/** What the backend does whatever the runtime does: here a runtime made of promises. */
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { type InferenceSession, Tensor } from "onnxruntime-common";
import type { Backend } from "../../src/backend/backend.ts";
import { ortBackend } from "../../src/backend/ort.ts";
import type { OrtModule, OrtProvider } from "../../src/backend/ort_provider.ts";
import { BackendError } from "../../src/errors.ts";
import type { OnnxModel } from "../../src/onnx/model_proto.ts";

interface Faked {
  readonly backend: Backend;
  /** What the runtime was asked to do. */
  readonly events: string[];
  /** Options of the last session. */
  options(): InferenceSession.SessionOptions | undefined;
}

interface Fakes extends Partial<OrtProvider> {
  readonly create?: () => Promise<void>;
  readonly run?: () => Promise<Record<string, Tensor>>;
}

function fake({ create, run, ...provider }: Fakes = {}): Faked {
  const events: string[] = [];
  let options: InferenceSession.SessionOptions | undefined;
  const session = {
    inputMetadata: [{ name: "x", isTensor: true, type: "float32", shape: ["N", 2] }],
    outputNames: ["y"],
    run: async () => {
      events.push("run begins");
      const results = await run?.() ?? { y: new Tensor("float32", Float32Array.of(1, 2), [1, 2]) };
      events.push("run ends");
      return results;
    },
    release: () => {
      events.push("release");
      return Promise.resolve();
    },
  };
  const ort = {
    Tensor,
    InferenceSession: {
      create: async (_: Uint8Array, given: InferenceSession.SessionOptions) => {
        options = given;
        events.push("create");
        await create?.();
        return session;
      },
    },
  } as unknown as OrtModule; // the part that the backend calls
  const backend = ortBackend(ort, {
    name: "wasm",
    description: "a fake",
    weights: "initializers",
    sessionOptions: { executionProviders: ["fake"] },
    upload: ({ dims, data }) => new Tensor("float32", data, dims),
    schedule: (task) => task(),
    ...provider,
  });
  return { backend, events, options: () => options };
}

function model(weightBytes = 0): OnnxModel {
  const externalData = weightBytes === 0 ? [] : [{ path: "w", data: new Uint8Array(weightBytes) }];
  return { name: "model", bytes: new Uint8Array(10), externalData };
}

const x = { dims: [1, 2], data: Float32Array.of(1, 2) };

Deno.test("load() names an execution provider and hands weights beside the model over", async () => {
  const { backend, options } = fake();
  await backend.load(model());
  assertEquals(options(), { executionProviders: ["fake"] });
  await backend.load(model(4));
  assertEquals(options()?.externalData, [{ path: "w", data: new Uint8Array(4) }]);
  await backend.dispose();
});

Deno.test("load() refuses weights beyond the limit before the runtime hears of them", async () => {
  const { backend, events } = fake({ weightLimit: 3 << 20 });
  const first = await backend.load(model(2 << 20));
  const error = await assertRejects(() => backend.load(model(2 << 20)), BackendError);
  assertEquals(
    error.message,
    "Cannot load model on a fake: weights must fit in 3 MiB: current value is 4 MiB",
  );
  assertEquals(events, ["create"]);
  await first.dispose();
  await (await backend.load(model(2 << 20))).dispose(); // there is room again
});

Deno.test("what the runtime says is the cause, and its first line the end of the message", async () => {
  const said = new Error("out of memory\n    at file:///built/somewhere.cc");
  const broken = fake({ create: () => Promise.reject(said) });
  const load = await assertRejects(() => broken.backend.load(model()), BackendError);
  assertEquals(load.message, "Cannot load model on a fake: out of memory");
  assertEquals(load.cause, said);
  assertEquals(broken.backend.live, { values: 0, sessions: 0 });

  const failing = fake({ run: () => Promise.reject(said) });
  const session = await failing.backend.load(model());
  const inputs = { x: failing.backend.upload(x) };
  const run = await assertRejects(() => session.run(inputs, ["y"]), BackendError);
  assertEquals(run.message, "Cannot run model: out of memory");
  await assertRejects(() => session.run(inputs, ["y"]), BackendError, "out of memory"); // tried again
});

Deno.test("a session that failed where failures spoil it is not run again", async () => {
  const { backend, events } = fake({
    failureSpoilsSession: true,
    run: () => Promise.reject(new Error("device lost")),
  });
  const session = await backend.load(model());
  const inputs = { x: backend.upload(x) };
  await assertRejects(() => session.run(inputs, ["y"]), BackendError, "device lost");
  await assertRejects(() => session.run(inputs, ["y"]), BackendError, "must be loaded again");
  assertEquals(events, ["create", "run begins"]);
});

Deno.test("a session is released when its last run has ended, and no value before", async () => {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => end = resolve);
  const { backend, events } = fake({
    run: async () => {
      await ended;
      return { y: new Tensor("float32", new Float32Array(2), [1, 2]) };
    },
  });
  const session = await backend.load(model());
  const running = session.run({ x: backend.upload(x) }, ["y"]);
  const closing = backend.dispose();
  await Promise.resolve();
  assertEquals(events, ["create", "run begins"]);
  assertEquals(backend.live.values, 1);
  end();
  await Promise.all([running, closing]);
  assertEquals(events, ["create", "run begins", "run ends", "release"]);
  assertEquals(backend.live, { values: 0, sessions: 0 });
});

Deno.test("a session that is loaded after its backend ended is released and refused", async () => {
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => end = resolve);
  const { backend, events } = fake({ create: () => ended });
  const loading = backend.load(model());
  const closing = backend.dispose();
  end();
  await assertRejects(() => loading, BackendError, "is disposed");
  await closing;
  assertEquals(events, ["create", "release"]);
  assertEquals(backend.live, { values: 0, sessions: 0 });
});

Deno.test("every call of the runtime goes through the provider's queue", async () => {
  const turns: string[] = [];
  const { backend, events } = fake({
    schedule: (task) => {
      turns.push(`after ${events.length} events`);
      return task();
    },
  });
  const session = await backend.load(model());
  const { y } = await session.run({ x: backend.upload(x) }, ["y"]);
  await backend.download(y!); // its only output
  await session.dispose();
  assertEquals(turns, ["after 0 events", "after 1 events", "after 3 events", "after 3 events"]);
});

Deno.test("download() copies, and refuses elements that are not float32", async () => {
  const { backend } = fake({
    run: () => Promise.resolve({ y: new Tensor("int32", Int32Array.of(1, 2), [1, 2]) }),
  });
  const value = backend.upload(x);
  const { data } = await backend.download(value);
  assert(data !== x.data);
  assertEquals(data, x.data);
  const session = await backend.load(model());
  const { y } = await session.run({ x: value }, ["y"]);
  const error = await assertRejects(() => backend.download(y!));
  assertInstanceOf(error, BackendError);
});
