/** How values, sessions and backends end, and what is said to who uses them wrongly. */
import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import type { Backend, Session, Value } from "../../src/backend/backend.ts";
import { BackendError } from "../../src/errors.ts";
import { GraphBuilder } from "../../src/onnx/graph.ts";
import { encodeModel, type OnnxModel } from "../../src/onnx/model_proto.ts";
import { add, linear } from "../../src/onnx/operators.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { BackendCheck } from "./check.ts";

/** Checks of disposal and of errors. */
export const LIFE_CHECKS: readonly BackendCheck[] = [
  { name: "counts of live values and sessions follow their makers", check: checkCounts },
  { name: "a second dispose does nothing, of a value, a session and a backend", check: checkTwice },
  { name: "a disposed backend frees what was left alive", check: checkLeftOvers },
  { name: "a missing input is a BackendError that names it", check: checkMissingInput },
  { name: "an unknown output is a BackendError that names it", check: checkUnknownOutput },
  { name: "no outputs at all is a BackendError", check: checkNoOutputs },
  { name: "a value of another backend is refused", check: checkForeign },
  { name: "a disposed value, session or backend is refused", check: checkUseAfterDispose },
  {
    name: "an input of the wrong shape is refused, and the session stays usable",
    check: checkShape,
  },
  { name: "a run that fails spoils no later one: it is right or refused", check: checkFailedRun },
  { name: "broken model bytes are a BackendError, never a crash", check: checkBroken },
  {
    name: "weights that should lie beside the model and do not are a BackendError",
    check: checkLost,
  },
  {
    name: "a session that is disposed of while it loads or runs leaves nothing",
    check: checkRaces,
  },
];

/** `out = a + b`, both `(N, 2)`. */
function sumModel(): OnnxModel {
  const graph = new GraphBuilder("sum");
  graph.output("out", add(graph, graph.input("a", ["N", 2]), graph.input("b", ["N", 2])));
  return encodeModel(graph);
}

const pair = { dims: [1, 2], data: Float32Array.of(1, 2) };

/** Loads the sum and proves, at the end, that it still adds. */
async function withSum(
  backend: Backend,
  use: (session: Session) => Promise<void>,
): Promise<void> {
  const session = await backend.load(sumModel());
  await use(session);
  const value = backend.upload(pair);
  const { out } = await session.run({ a: value, b: value }, ["out"]);
  assertEquals((await backend.download(out!)).data, Float32Array.of(2, 4)); // its only output
  out!.dispose();
  value.dispose();
  await session.dispose();
}

/** Fails unless it is a BackendError that says all of these. */
async function refuses(task: () => Promise<unknown>, ...parts: readonly string[]): Promise<void> {
  const { message } = await assertRejects(async () => await task(), BackendError, "Cannot ");
  for (const part of parts) assertStringIncludes(message, part);
}

async function checkCounts(backend: Backend): Promise<void> {
  assertEquals(backend.live, { values: 0, sessions: 0 });
  const session = await backend.load(sumModel());
  const [a, b] = [backend.upload(pair), backend.upload(pair)];
  assertEquals(backend.live, { values: 2, sessions: 1 });
  const { out } = await session.run({ a, b }, ["out"]);
  assertEquals(backend.live, { values: 3, sessions: 1 });
  await backend.download(out!); // its only output
  assertEquals(backend.live, { values: 3, sessions: 1 });
  for (const value of [a, b, out!]) value.dispose();
  assertEquals(backend.live, { values: 0, sessions: 1 });
  await session.dispose();
}

async function checkTwice(backend: Backend, open: () => Promise<Backend>): Promise<void> {
  await withSum(backend, async () => {
    const value = backend.upload(pair);
    const session = await backend.load(sumModel());
    for (const disposable of [value, session, value, session]) await disposable.dispose();
    assertEquals(backend.live, { values: 0, sessions: 1 });
  });
  const other = await open();
  await other.dispose();
  await other.dispose();
}

async function checkLeftOvers(_: Backend, open: () => Promise<Backend>): Promise<void> {
  const other = await open();
  const session = await other.load(sumModel());
  const value = other.upload(pair);
  await session.run({ a: value, b: value }, ["out"]);
  assertEquals(other.live, { values: 2, sessions: 1 });
  await other.dispose();
  assertEquals(other.live, { values: 0, sessions: 0 });
}

async function checkMissingInput(backend: Backend): Promise<void> {
  await withSum(backend, async (session) => {
    const a = backend.upload(pair);
    await refuses(
      () => session.run({ a }, ["out"]),
      "run sum",
      "input b must be [N,2]",
      "is missing",
    );
    a.dispose();
  });
}

async function checkUnknownOutput(backend: Backend): Promise<void> {
  await withSum(backend, async (session) => {
    const a = backend.upload(pair);
    const run = (): Promise<unknown> => session.run({ a, b: a }, ["out", "in"]);
    await refuses(run, "run sum", "must be among out", "current value is in");
    a.dispose();
  });
}

async function checkNoOutputs(backend: Backend): Promise<void> {
  await withSum(backend, async (session) => {
    const a = backend.upload(pair);
    await refuses(() => session.run({ a, b: a }, []), "must be among out", "current value is none");
    a.dispose();
  });
}

async function checkForeign(backend: Backend, open: () => Promise<Backend>): Promise<void> {
  const other = await open();
  const foreign = other.upload(pair);
  await withSum(backend, async (session) => {
    const a = backend.upload(pair);
    const wanted = ["of this backend", "foreign, [1,2]"];
    await refuses(() => session.run({ a, b: foreign }, ["out"]), "input b", ...wanted);
    await refuses(() => backend.download(foreign), "download", ...wanted);
    const forged = { dims: [1, 2], byteLength: 8, dispose: () => {} };
    await refuses(() => session.run({ a, b: forged }, ["out"]), "input b", ...wanted);
    a.dispose();
  });
  await other.dispose();
}

async function checkUseAfterDispose(
  backend: Backend,
  open: () => Promise<Backend>,
): Promise<void> {
  await withSum(backend, async (session) => {
    const gone = backend.upload(pair);
    gone.dispose();
    await refuses(() => session.run({ a: gone, b: gone }, ["out"]), "input a", "disposed");
    await refuses(() => backend.download(gone), "disposed");
  });
  const session = await backend.load(sumModel());
  await session.dispose();
  const a = backend.upload(pair);
  await refuses(() => session.run({ a, b: a }, ["out"]), "run sum", "is disposed");
  a.dispose();

  const other = await open();
  const value = other.upload(pair);
  await other.dispose();
  await refuses(() => other.load(sumModel()), "load sum", "is disposed");
  await refuses(() => other.download(value), "is disposed");
  assertThrows(() => other.upload(pair), BackendError, "is disposed");
}

async function checkShape(backend: Backend): Promise<void> {
  await withSum(backend, async (session) => {
    const a = backend.upload(pair);
    const wide = backend.upload({ dims: [1, 3], data: new Float32Array(3) });
    const flat = backend.upload({ dims: [2], data: new Float32Array(2) });
    const run = (b: Value) => () => session.run({ a, b }, ["out"]);
    await refuses(run(wide), "run sum", "input b must be [N,2]", "current value is [1,3]");
    await refuses(run(flat), "run sum", "input b must be [N,2]", "current value is [2]");
    for (const value of [a, wide, flat]) value.dispose();
  });
}

async function checkFailedRun(backend: Backend): Promise<void> {
  const graph = new GraphBuilder("pairs");
  const target = graph.constant([2], [-1, 2], "int64"); // which reshape() would not let through
  graph.output("y", graph.apply("Reshape", [graph.input("x", ["N"]), target], ["M", 2]));
  const session = await backend.load(encodeModel(graph));
  const [odd, even] = [3, 2].map((count) =>
    backend.upload({ dims: [count], data: Float32Array.from({ length: count }, (_, i) => i) })
  );
  await refuses(() => session.run({ x: odd! }, ["y"]), "run pairs: "); // two were made
  try {
    const { y } = await session.run({ x: even! }, ["y"]);
    assertEquals(await backend.download(y!), { dims: [1, 2], data: Float32Array.of(0, 1) });
    y!.dispose(); // its only output
  } catch (error) {
    assertInstanceOf(error, BackendError);
    assertStringIncludes(error.message, "must be loaded again");
  }
  for (const value of [odd!, even!]) value.dispose();
  await session.dispose();
}

async function checkBroken(backend: Backend): Promise<void> {
  const { bytes } = sumModel();
  const unknown = new GraphBuilder("unknown operator");
  unknown.output("y", unknown.apply("NoSuchOperator", [unknown.input("x", [1])], [1]));
  const broken: Record<string, Uint8Array<ArrayBuffer>> = {
    empty: new Uint8Array(0),
    text: new TextEncoder().encode("not a model at all"),
    truncated: bytes.slice(0, bytes.length - 20),
    "of an unknown operator": encodeModel(unknown).bytes,
  };
  await withSum(backend, async () => {
    for (const [name, bytes] of Object.entries(broken)) {
      const model = { name, bytes, externalData: [] };
      await refuses(() => backend.load(model), `load ${name} on ${backend.description}: `);
    }
    assertEquals(backend.live, { values: 0, sessions: 1 });
  });
}

async function checkLost(backend: Backend): Promise<void> {
  const graph = new GraphBuilder("lost weights");
  const weight = graph.parameter("lost.weight", [4, 4]);
  const bias = graph.parameter("lost.bias", [4]);
  graph.output("y", linear(graph, graph.input("x", ["N", 4]), weight, bias));
  const weights = new Map([["lost.weight", [4, 4]], ["lost.bias", [4]]] as const);
  const numbers = new Map([...weights].map(([name, dims]) => [name, normalNoise(dims, 0).data]));
  const whole = encodeModel(graph, { weights: numbers, externalAbove: 0 });
  await withSum(backend, async () => {
    await refuses(() => backend.load({ ...whole, externalData: [] }), "load lost weights");
  });
}

async function checkRaces(_: Backend, open: () => Promise<Backend>): Promise<void> {
  const backend = await open();
  const session = await backend.load(sumModel());
  const value = backend.upload(pair);
  const running = session.run({ a: value, b: value }, ["out"]);
  const loading = backend.load(sumModel());
  const outcomes = Promise.allSettled([running, loading]);
  await session.dispose();
  await backend.dispose();
  for (const outcome of await outcomes) {
    if (outcome.status === "rejected") assertEquals(outcome.reason.name, "BackendError");
  }
  assertEquals(backend.live, { values: 0, sessions: 0 });
}
