/** What every backend must compute: operators, shapes, chains, weights in all forms. */
import { assert, assertEquals } from "@std/assert";
import type { Backend, Value } from "../../src/backend/backend.ts";
import { GraphBuilder } from "../../src/onnx/graph.ts";
import { encodeModel } from "../../src/onnx/model_proto.ts";
import { geluTanh, linear, multiply } from "../../src/onnx/operators.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { BackendCheck } from "./check.ts";
import { CONVOLUTION_CASES } from "./convolution_cases.ts";
import { assertClose, OPERATOR_TOLERANCE } from "./compare.ts";
import type { HostTensor } from "./host_operators.ts";
import { TEXT_OPERATOR_CASES } from "./text_operator_cases.ts";
import { OPERATOR_CASES, type OperatorCase } from "./operator_cases.ts";

const BATCHES = [1, 3, 2];

/** Checks of numbers. */
export const NUMBER_CHECKS: readonly BackendCheck[] = [
  ...[...OPERATOR_CASES, ...CONVOLUTION_CASES, ...TEXT_OPERATOR_CASES].map((
    operator,
  ): BackendCheck => ({
    name: `${operator.name}, in one session for batches of ${BATCHES.join(", ")}`,
    check: (backend) => checkOperator(backend, operator),
  })),
  { name: "a result is the input of the next run without leaving the device", check: checkChain },
  { name: "a graph returns the outputs that are asked for and no others", check: checkOutputs },
  {
    name: "weights inside of the model, beside it and given at each run are the same weights",
    check: checkWeightForms,
  },
  {
    name: "an uploaded and downloaded tensor is unchanged, whatever its numbers",
    check: checkRoundTrip,
  },
];

async function checkOperator(backend: Backend, operator: OperatorCase): Promise<void> {
  const graph = new GraphBuilder("operator");
  const inputs = operator.shapes.map((dims, i) => graph.input(`in.${i}`, dims));
  const names = operator.build(graph, inputs).map((node, i) => {
    graph.output(`out.${i}`, node);
    return `out.${i}`;
  });
  const session = await backend.load(encodeModel(graph));
  for (const batch of BATCHES) {
    const given = inputsOf(operator, batch);
    const results = await runOnHost(backend, session, given, names);
    const wanted = operator.expected(given.map(exact));
    assertEquals(results.length, wanted.length);
    for (const [i, result] of results.entries()) {
      const what = `${operator.name}, output ${i} at batch ${batch}`;
      assertClose(result, wanted[i]!, { tolerance: OPERATOR_TOLERANCE[backend.name], what });
    }
  }
  await session.dispose();
}

function inputsOf({ shapes, sizes = {}, numbers }: OperatorCase, batch: number): Tensor[] {
  return shapes.map((shape, i) => {
    const dims = shape.map((size) => (size === "N" ? batch : Number(sizes[size] ?? size)));
    return { dims, data: numbers?.(i, dims) ?? normalNoise(dims, i).data };
  });
}

function exact({ dims, data }: Tensor): HostTensor {
  return { dims, data: Float64Array.from(data) };
}

/** Runs a session on tensors `in.0`, `in.1`, …; leaves nothing on the device. */
async function runOnHost(
  backend: Backend,
  session: Awaited<ReturnType<Backend["load"]>>,
  inputs: readonly Tensor[],
  outputs: readonly string[],
): Promise<Tensor[]> {
  const uploaded = inputs.map((tensor, i) => [`in.${i}`, backend.upload(tensor)] as const);
  const results = await session.run(Object.fromEntries(uploaded), outputs);
  const tensors: Tensor[] = [];
  for (const name of outputs) tensors.push(await backend.download(results[name]!));
  for (const [, value] of uploaded) value.dispose();
  for (const value of Object.values(results)) value.dispose();
  return tensors;
}

async function checkChain(backend: Backend): Promise<void> {
  const graph = new GraphBuilder("chain");
  const x = graph.input("x", ["N", 3]);
  graph.output("y", multiply(graph, x, graph.constant([1], [2], "float32")));
  const session = await backend.load(encodeModel(graph));
  let value: Value = backend.upload({ dims: [1, 3], data: Float32Array.of(1, -2, 3) });
  for (let i = 0; i < 10; i++) {
    const { y } = await session.run({ x: value }, ["y"]);
    value.dispose();
    value = y!; // the only output
  }
  assertEquals(await backend.download(value), {
    dims: [1, 3],
    data: Float32Array.of(1024, -2048, 3072), // powers of two are exact
  });
  value.dispose();
  await session.dispose();
}

async function checkOutputs(backend: Backend): Promise<void> {
  const graph = new GraphBuilder("several outputs");
  const x = graph.input("x", ["N"]);
  const half = multiply(graph, x, graph.constant([1], [0.5], "float32"));
  graph.output("half", half);
  graph.output("quarter", multiply(graph, half, graph.constant([1], [0.5], "float32")));
  const session = await backend.load(encodeModel(graph));
  const x4 = backend.upload({ dims: [1], data: Float32Array.of(4) });
  for (const asked of [["quarter"], ["half"], ["quarter", "half"]]) {
    const results = await session.run({ x: x4 }, asked);
    assertEquals(Object.keys(results).sort(), [...asked].sort());
    assertEquals(backend.live.values, 1 + asked.length);
    for (const [name, value] of Object.entries(results)) {
      const { data } = await backend.download(value);
      assertEquals(data, Float32Array.of(name === "half" ? 2 : 1));
      value.dispose();
    }
  }
  x4.dispose();
  await session.dispose();
}

async function checkWeightForms(backend: Backend): Promise<void> {
  const [width, hidden] = [96, 384]; // 147 kB of weights
  const build = (): GraphBuilder => {
    const graph = new GraphBuilder("layer");
    const weight = graph.parameter("layer.weight", [hidden, width]);
    const bias = graph.parameter("layer.bias", [hidden]);
    graph.output(
      "out.0",
      geluTanh(graph, linear(graph, graph.input("in.0", ["N", 5, width]), weight, bias)),
    );
    return graph;
  };
  const tensors = new Map([
    ["layer.weight", normalNoise([hidden, width], 1)],
    ["layer.bias", normalNoise([hidden], 2)],
  ]);
  const weights = new Map([...tensors].map(([name, { data }]) => [name, data]));
  const x = normalNoise([2, 5, width], 3);

  const inside = encodeModel(build(), { weights });
  const beside = encodeModel(build(), { weights, externalAbove: 1 << 17 });
  assertEquals([inside.externalData.length, beside.externalData.length], [0, 2]);
  const results: Tensor[] = [];
  for (const model of [inside, beside]) {
    const session = await backend.load(model);
    results.push(...await runOnHost(backend, session, [x], ["out.0"]));
    await session.dispose();
  }

  const given = encodeModel(build());
  const session = await backend.load(given);
  const values = [["in.0", x] as const, ...tensors]
    .map(([name, tensor]) => [name, backend.upload(tensor)] as const);
  const { ["out.0"]: out } = await session.run(Object.fromEntries(values), ["out.0"]);
  results.push(await backend.download(out!)); // the only output
  out!.dispose();
  for (const [, value] of values) value.dispose();
  await session.dispose();

  const what = "the same layer";
  const tolerance = OPERATOR_TOLERANCE[backend.name]; // packed weights may be summed in another order
  assert(results[0]!.data.some((v) => v !== 0));
  assertClose(results[1]!, results[0]!, { tolerance, what });
  assertClose(results[2]!, results[0]!, { tolerance, what });
}

async function checkRoundTrip(backend: Backend): Promise<void> {
  const data = Float32Array.of(0, -0, 1.5, -3e38, 1e-40, NaN, Infinity); // 28 bytes, no whole row
  const tensor = { dims: [7, 1], data };
  const value = backend.upload(tensor);
  assertEquals([value.dims, value.byteLength], [[7, 1], 28]);
  assertEquals(await backend.download(value), tensor);
  assertEquals(await backend.download(value), tensor); // a value can be read more than once
  value.dispose();
}
