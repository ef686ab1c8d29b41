/** One suite for every backend: what the interface promises, each provider keeps. */

import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import type { Backend, Session, Value } from "../../src/backend/backend.ts";
import { BackendError } from "../../src/errors.ts";
import { GraphBuilder, type Node } from "../../src/onnx/graph.ts";
import { encodeModel } from "../../src/onnx/model_proto.ts";
import * as operators from "../../src/onnx/operators.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { elementCount, type Tensor } from "../../src/tensor/tensor.ts";
import * as exact from "./exact.ts";

/** A provider under test. */
export interface Subject {
  /** Registers a test, or names it as skipped. */
  readonly test: (name: string, fn: () => Promise<void>) => void;
  /** Name for the tests. */
  readonly name: string;
  /** Opens the provider. */
  readonly open: () => Promise<Backend>;
  /** Largest error of an operator, relative to its largest result, and why it is not smaller. */
  readonly tolerance: number;
}

/** Registers the suite for one provider. */
export function backendSuite(subject: Subject): void {
  const test = (name: string, fn: (backend: Backend) => Promise<void>): void =>
    subject.test(`${subject.name}: ${name}`, async () => {
      const backend = await subject.open();
      try {
        await fn(backend);
        assertEquals(backend.live, { values: 0, sessions: 0 });
      } finally {
        await backend.dispose();
      }
    });

  for (const [name, build, reference] of OPERATORS) {
    test(`${name} computes what its formula says, for batches of 1, 2 and 5`, async (backend) => {
      const { session, weights } = await loadOperator(backend, build);
      for (const rows of [1, 2, 5]) {
        const x = normalNoise([rows, 6, 8], rows);
        const y = await run(backend, session, x);
        assertClose(y, reference(x, weights), subject.tolerance);
      }
      await session.dispose();
    });
  }

  test("weights as initializers, as external data and as inputs give the same numbers", async (backend) => {
    const graph = linearGraph();
    const weights = weightsOf(graph);
    const x = normalNoise([2, 6, 8], 9);
    const inside = await backend.load(encodeModel(graph, { weights, externalAbove: Infinity }));
    const outside = await backend.load(encodeModel(graph, { weights, externalAbove: 0 }));
    const shared = await backend.load(encodeModel(graph));
    const given = Object.fromEntries(
      graph.parameters.map(({ name, dims }) => [
        name,
        backend.upload({ dims: dims.map(Number), data: weights.get(name)! }),
      ]),
    );
    const wanted = await run(backend, inside, x);
    assertEquals((await run(backend, outside, x)).data, wanted.data);
    assertEquals((await run(backend, shared, x, given)).data, wanted.data);
    for (const session of [inside, outside, shared]) await session.dispose();
    for (const value of Object.values(given)) value.dispose();
  });

  test("an output of one session is an input of the next", async (backend) => {
    const session = await loadDouble(backend);
    const x = backend.upload({ dims: [1, 2], data: Float32Array.of(1, -3) });
    const { y: once } = await session.run({ x }, ["y"]);
    const { y: twice } = await session.run({ x: once! }, ["y"]);
    assertEquals([...(await backend.download(twice!)).data], [4, -12]);
    for (const value of [x, once!, twice!]) value.dispose();
    await session.dispose();
  });

  test("a run returns the outputs that were asked for and no others", async (backend) => {
    const session = await loadDouble(backend);
    const x = backend.upload({ dims: [1, 2], data: Float32Array.of(1, 2) });
    const results = await session.run({ x }, ["z"]);
    assertEquals(Object.keys(results), ["z"]);
    assertEquals(backend.live.values, 2); // x and z
    for (const value of [x, ...Object.values(results)]) value.dispose();
    await session.dispose();
  });

  test("what is wrong with a run is said in a BackendError", async (backend) => {
    const session = await loadDouble(backend);
    const x = backend.upload({ dims: [1, 2], data: new Float32Array(2) });
    const refused = (inputs: Record<string, Value>, outputs: string[], message: string) =>
      assertRejects(() => session.run(inputs, outputs), BackendError, message);
    await refused({}, ["y"], "input x must be given");
    await refused({ x }, ["w"], "outputs must be among y, z: current value is w");
    await refused({ x }, [], "current value is none");
    const foreign = { dims: [1, 2], byteLength: 8, dispose: () => undefined };
    await refused({ x: foreign }, ["y"], "must be alive and of this backend");
    const flat = backend.upload({ dims: [2], data: new Float32Array(2) });
    await refused({ x: flat }, ["y"], "Cannot run double");
    flat.dispose();
    x.dispose();
    await refused({ x }, ["y"], "must be alive");
    await session.dispose();
  });

  test("use after dispose is refused, and a second dispose does nothing", async (backend) => {
    const session = await loadDouble(backend);
    const x = backend.upload({ dims: [1, 2], data: new Float32Array(2) });
    await session.dispose();
    await session.dispose();
    await assertRejects(() => session.run({ x }, ["y"]), BackendError, "must not be disposed");
    x.dispose();
    x.dispose();
    await assertRejects(() => backend.download(x), BackendError, "must be alive");
    await backend.dispose();
    await assertRejects(() => loadDouble(backend), BackendError, "must not be disposed");
  });

  test("bytes that are no model are refused", async (backend) => {
    const broken = {
      name: "broken",
      bytes: Uint8Array.of(1, 2, 3),
      externalData: [],
      weightInputs: [],
    };
    await assertRejects(() => backend.load(broken), BackendError, "Cannot load broken");
  });

  test("calls that overlap finish, each with its own numbers", async (backend) => {
    const sessions = await Promise.all([loadDouble(backend), loadDouble(backend)]);
    const results = await withinSeconds(
      60,
      Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          const x = backend.upload({ dims: [1, 2], data: Float32Array.of(i, -i) });
          const { y } = await sessions[i % 2]!.run({ x }, ["y"]);
          const { data } = await backend.download(y!);
          x.dispose();
          y!.dispose();
          return [...data];
        }),
      ),
    );
    assertEquals(results, Array.from({ length: 8 }, (_, i) => [2 * i, -2 * i]));
    for (const session of sessions) await session.dispose();
  });
}

type Build = (graph: GraphBuilder, x: Node) => Node;
type Reference = (x: Tensor, weights: ReadonlyMap<string, Float32Array>) => Tensor;

const OPERATORS: readonly (readonly [string, Build, Reference])[] = [
  ["linear()", linear, (x, w) => exact.linear(x, w.get("w")!, w.get("b")!)],
  ["layerNorm()", (g, x) => operators.layerNorm(g, x, 1e-6), (x) => exact.layerNorm(x, 1e-6)],
  ["geluTanh()", (g, x) => operators.geluTanh(g, x), (x) => exact.map(x, exact.geluTanh)],
  ["silu()", (g, x) => operators.silu(g, x), (x) => exact.map(x, exact.silu)],
  [
    "attention()",
    (g, x) => operators.attention(g, [x, x, x], 2),
    (x) => exact.attention(x, 2),
  ],
  [
    "splitLast() and concat()",
    (g, x) => operators.concat(g, operators.splitLast(g, x, 2).toReversed(), 2),
    (x) => exact.swapHalves(x),
  ],
  [
    "transpose() and reshape()",
    (g, x) => {
      const heads = operators.reshape(g, x, [0, 6, 2, 4], ["N", 6, 2, 4]);
      return operators.reshape(g, operators.transpose(g, heads, [0, 1, 3, 2]), [0, 6, 8], [
        "N",
        6,
        8,
      ]);
    },
    (x) => exact.interleave(x),
  ],
  [
    "slice(), add(), subtract() and multiply()",
    (g, x) => {
      const first = operators.slice(g, x, { axis: 1, first: 2, count: 1 }); // (N, 1, 8)
      return operators.subtract(g, operators.multiply(g, x, first), operators.add(g, x, first));
    },
    (x) => exact.againstRow(x, 2),
  ],
];

function linear(graph: GraphBuilder, x: Node): Node {
  return operators.linear(graph, x, graph.parameter("w", [5, 8]), graph.parameter("b", [5]));
}

function linearGraph(): GraphBuilder {
  const graph = new GraphBuilder("linear");
  graph.output("y", linear(graph, graph.input("x", ["N", 6, 8])));
  return graph;
}

async function loadOperator(
  backend: Backend,
  build: Build,
): Promise<{ session: Session; weights: ReadonlyMap<string, Float32Array> }> {
  const graph = new GraphBuilder("operator");
  graph.output("y", build(graph, graph.input("x", ["N", 6, 8])));
  const weights = weightsOf(graph);
  return { session: await backend.load(encodeModel(graph, { weights })), weights };
}

function weightsOf(graph: GraphBuilder): Map<string, Float32Array> {
  return new Map(
    graph.parameters.map(({ name, dims }) => {
      const sizes = dims.map(Number);
      return [name, normalNoise(sizes, elementCount(sizes)).data];
    }),
  );
}

/** y = 2x and z = x². */
async function loadDouble(backend: Backend): Promise<Session> {
  const graph = new GraphBuilder("double");
  const x = graph.input("x", ["N", 2]);
  graph.output("y", operators.add(graph, x, x));
  graph.output("z", operators.multiply(graph, x, x));
  return await backend.load(encodeModel(graph));
}

async function run(
  backend: Backend,
  session: Session,
  x: Tensor,
  weights: Readonly<Record<string, Value>> = {},
): Promise<Tensor> {
  const value = backend.upload(x);
  const { y } = await session.run({ x: value, ...weights }, ["y"]);
  const result = await backend.download(y!);
  value.dispose();
  y!.dispose();
  return result;
}

/** A call that hangs, as overlapping WebGPU calls would, fails instead. */
export async function withinSeconds<T>(seconds: number, task: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No answer within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([task, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Fails unless every number is within `tolerance × max|wanted|`. */
export function assertClose(actual: Tensor, wanted: Tensor, tolerance: number): void {
  assertEquals(actual.dims, wanted.dims);
  let largest = 0;
  let error = 0;
  wanted.data.forEach((number, i) => {
    largest = Math.max(largest, Math.abs(number));
    error = Math.max(error, Math.abs(actual.data[i]! - number)); // same shape
  });
  assert(actual.data.every(Number.isFinite));
  assertLessOrEqual(error / largest, tolerance, `error ${error / largest} × max`);
}
