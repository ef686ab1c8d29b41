/** Our bytes as ONNX's own schema reads them. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromBinary, type Message } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type ValueInfoProto,
} from "onnx-buf";
import { buildSegment, type Segment } from "../../src/engine/segment/segment.ts";
import { dit } from "../../src/model/dit/dit.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { GraphBuilder } from "../../src/onnx/graph.ts";
import { encodeModel, type EncodeOptions, type OnnxModel } from "../../src/onnx/model_proto.ts";
import { linear, multiply } from "../../src/onnx/operators.ts";
import { normalNoise } from "../../src/tensor/random.ts";

const WIDTH = 48;
const TRANSFORMER = dit(parseDitConfig({
  input_size: 8,
  patch_size: 2,
  hidden_size: WIDTH,
  depth: 1,
  num_heads: 3,
  num_classes: 7,
}));
/** A whole DiT block: attention, whose feature is also a result, and MLP. */
const BLOCK: Segment = [
  { kind: "module", index: 0, action: "run", store: true },
  { kind: "module", index: 1, action: "run", store: false },
];

function weightsOf(graph: GraphBuilder): Map<string, Float32Array> {
  const entries = graph.parameters.map(({ name, dims }, i) =>
    [name, normalNoise(dims.map(Number), i).data] as const
  );
  return new Map(entries);
}

function decode(model: OnnxModel): { readonly proto: ModelProto; readonly graph: GraphProto } {
  const proto = fromBinary(ModelProtoSchema, model.bytes);
  assertKnown(proto);
  return { proto, graph: proto.graph! }; // every model of ours has one
}

/** Fails when a message, at any depth, has a field that the schema does not know. */
function assertKnown(message: Message): void {
  assertEquals(message.$unknown, undefined);
  for (const value of Object.values(message).flat()) {
    if (isMessage(value)) assertKnown(value);
  }
}

function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null && "$typeName" in value;
}

function decodeBlock(options: EncodeOptions = {}): ReturnType<typeof decode> {
  return decode(encodeModel(buildSegment(TRANSFORMER, BLOCK), options));
}

function attributes({ attribute }: NodeProto): Record<string, unknown> {
  return Object.fromEntries(attribute.map((one) => {
    switch (one.type) {
      case AttributeType.INT:
        return [one.name, Number(one.i)];
      case AttributeType.FLOAT:
        return [one.name, one.f];
      case AttributeType.STRING:
        return [one.name, new TextDecoder().decode(one.s)];
      case AttributeType.INTS:
        return [one.name, one.ints.map(Number)];
      default:
        throw new Error(`${one.name} has type ${one.type}`);
    }
  }));
}

function shapeOf({ name, type }: ValueInfoProto): [string, number, unknown[]] {
  const tensor = type!.value;
  if (tensor.case !== "tensorType") throw new Error(`${name} is a ${tensor.case}`);
  const dims = tensor.value.shape!.dim.map(({ value }) =>
    value.case === "dimValue" ? Number(value.value) : value.value
  );
  return [name, tensor.value.elemType, dims];
}

Deno.test("a model names its versions, its producer and its operator sets", () => {
  const { proto, graph } = decodeBlock();
  assertEquals(proto.irVersion, 10n);
  assertEquals(proto.producerName, "invardiff");
  assertEquals(
    proto.opsetImport.map(({ domain, version }) => [domain, version]),
    [["", 20n], ["com.microsoft", 1n]],
  );
  assertEquals(graph.name, "0.s 1.");
});

Deno.test("the inputs and outputs of a DiT block have the types and shapes of the graph", () => {
  const { graph } = decodeBlock({ weights: weightsOf(buildSegment(TRANSFORMER, BLOCK)) });
  assertEquals(graph.input.map(shapeOf), [
    ["modulation", DataType.FLOAT, ["N", 6, WIDTH]],
    ["x.in", DataType.FLOAT, ["N", 16, WIDTH]],
  ]);
  assertEquals(graph.output.map(shapeOf), [
    ["feature.blocks.0.attn.0", DataType.FLOAT, ["N", 16, WIDTH]],
    ["x", DataType.FLOAT, ["N", 16, WIDTH]],
  ]);
});

Deno.test("the operators of a DiT block are the original's, with their attributes", () => {
  const { graph } = decodeBlock();
  const important = graph.node.filter(({ opType }) => !["Slice", "Reshape"].includes(opType));
  const modulate = [["LayerNormalization", ""], ["Add", ""], ["Mul", ""], ["Add", ""]];
  const merge = [["Mul", ""], ["Add", ""]];
  assertEquals(important.map(({ opType, domain }) => [opType, domain]), [
    ...modulate,
    ["Gemm", ""],
    ["Split", ""],
    ["MultiHeadAttention", "com.microsoft"],
    ["Gemm", ""],
    ...merge,
    ...modulate,
    ["Gemm", ""],
    ["Gelu", ""],
    ["Gemm", ""],
    ...merge,
  ]);
  const of = (opType: string): Record<string, unknown>[] =>
    graph.node.filter((node) => node.opType === opType).map(attributes);
  const norm = { axis: -1, epsilon: Math.fround(1e-6) };
  assertEquals(of("LayerNormalization"), [norm, norm]);
  assertEquals(of("Gemm"), new Array(4).fill({ transB: 1 }));
  assertEquals(of("Split"), [{ axis: -1, num_outputs: 3 }]);
  assertEquals(of("MultiHeadAttention"), [{ num_heads: 3 }]);
  assertEquals(of("Gelu"), [{ approximate: "tanh" }]);
});

Deno.test("lists of integers are attributes too", () => {
  const { graph } = decode(encodeModel(buildSegment(TRANSFORMER, [{ kind: "embedding" }])));
  const [transpose] = graph.node.filter(({ opType }) => opType === "Transpose");
  assertEquals(attributes(transpose!), { perm: [0, 2, 4, 1, 3, 5] }); // one was kept
});

Deno.test("every value of a DiT block is made once, before it is used, and every result is made", () => {
  const { graph } = decodeBlock();
  const known = new Set([...graph.input, ...graph.initializer].map(({ name }) => name));
  assertEquals(known.size, graph.input.length + graph.initializer.length);
  for (const { input, output, name } of graph.node) {
    for (const value of input) assert(known.has(value), `${name} takes ${value}`);
    for (const value of output) {
      assert(!known.has(value), `${value} is made twice`);
      known.add(value);
    }
  }
  for (const { name } of graph.output) assert(known.has(name), `${name} is not made`);
  assertEquals(new Set(graph.node.map(({ name }) => name)).size, graph.node.length);
});

Deno.test("constants are tensors with raw little-endian numbers, negative ones too", () => {
  const builder = new GraphBuilder("constants");
  const x = builder.input("x", [2]);
  const shape = builder.constant([2], [-1, 2 ** 40], "int64");
  builder.output("y", multiply(builder, x, builder.constant([2], [0.5, -3], "float32")));
  const { graph } = decode(encodeModel(builder));
  const [whole, real] = graph.initializer;
  assertEquals([whole!.name, whole!.dataType, whole!.dims], [shape.name, DataType.INT64, [2n]]);
  assertEquals([...new BigInt64Array(whole!.rawData.slice().buffer)], [-1n, 2n ** 40n]);
  assertEquals([real!.dataType, real!.dims], [DataType.FLOAT, [2n]]);
  assertEquals([...new Float32Array(real!.rawData.slice().buffer)], [0.5, -3]);
});

Deno.test("weights of a DiT block are initializers with their numbers, and no inputs", () => {
  const builder = buildSegment(TRANSFORMER, BLOCK);
  const weights = weightsOf(builder);
  const { graph } = decode(encodeModel(builder, { weights }));
  const bound = graph.initializer.filter(({ name }) => weights.has(name));
  assertEquals(
    bound.map(({ name, dims }) => [name, dims.map(Number)]),
    builder.parameters.map(({ name, dims }) => [name, dims]),
  );
  for (const { name, dataType, dataLocation, rawData } of bound) {
    assertEquals([dataType, dataLocation], [DataType.FLOAT, DataLocation.DEFAULT]);
    assertEquals(new Float32Array(rawData.slice().buffer), weights.get(name));
  }
});

Deno.test("without weights every parameter is an input behind the others, with its shape", () => {
  const builder = buildSegment(TRANSFORMER, BLOCK);
  const model = encodeModel(builder);
  const { graph } = decode(model);
  assertEquals(graph.input.slice(2).map(shapeOf), [
    ["blocks.0.attn.qkv.weight", DataType.FLOAT, [3 * WIDTH, WIDTH]],
    ["blocks.0.attn.qkv.bias", DataType.FLOAT, [3 * WIDTH]],
    ["blocks.0.attn.proj.weight", DataType.FLOAT, [WIDTH, WIDTH]],
    ["blocks.0.attn.proj.bias", DataType.FLOAT, [WIDTH]],
    ["blocks.0.mlp.fc1.weight", DataType.FLOAT, [4 * WIDTH, WIDTH]],
    ["blocks.0.mlp.fc1.bias", DataType.FLOAT, [4 * WIDTH]],
    ["blocks.0.mlp.fc2.weight", DataType.FLOAT, [WIDTH, 4 * WIDTH]],
    ["blocks.0.mlp.fc2.bias", DataType.FLOAT, [WIDTH]],
  ]);
});

Deno.test("weights above the threshold lie beside the message, which says where and how long", () => {
  const builder = buildSegment(TRANSFORMER, BLOCK);
  const weights = weightsOf(builder);
  const total = [...weights.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const model = encodeModel(builder, { weights, externalAbove: total - 1 });
  const { graph } = decode(model);
  assertEquals(model.externalData.map(({ path }) => path), [...weights.keys()]);
  const outside = graph.initializer.filter(({ name }) => weights.has(name));
  assertEquals(outside.length, weights.size);
  for (const { name, dataLocation, externalData, rawData } of outside) {
    const { byteLength } = weights.get(name)!; // just filtered by it
    assertEquals([dataLocation, rawData.length], [DataLocation.EXTERNAL, 0]);
    assertEquals(
      externalData.map(({ key, value }) => [key, value]),
      [["location", name], ["length", `${byteLength}`]],
    );
  }
  assertEquals(encodeModel(builder, { weights, externalAbove: total }).externalData, []);
});

Deno.test("weights beside the message are the caller's own bytes, not a copy", () => {
  const builder = new GraphBuilder("layer");
  const weight = builder.parameter("weight", [2, 2]);
  const bias = builder.parameter("bias", [2]);
  builder.output("y", linear(builder, builder.input("x", ["N", 2]), weight, bias));
  const stored = Float32Array.of(9, 1, 2, 3, 4, 5, 6);
  const weights = new Map([["weight", stored.subarray(1, 5)], ["bias", stored.subarray(5)]]);
  const { externalData } = encodeModel(builder, { weights, externalAbove: 0 });
  assertEquals(externalData.map(({ data }) => [data.byteOffset, data.length]), [[4, 16], [20, 8]]);
  assert(externalData.every(({ data }) => data.buffer === stored.buffer));
});

Deno.test("a scalar constant has no dimensions, and a result may be used inside of the graph", () => {
  const builder = new GraphBuilder("squares");
  const two = builder.constant([], [2], "float32");
  const double = multiply(builder, builder.input("x", ["N"]), two);
  builder.output("double", double);
  builder.output("square", multiply(builder, double, double));
  const { graph } = decode(encodeModel(builder));
  assertEquals(graph.initializer[0]!.dims, []);
  assertEquals(graph.node.map(({ input, output }) => [input, output]), [
    [["x", "constant.0"], ["double"]],
    [["double", "double"], ["square"]],
  ]);
});

Deno.test("encodeModel() refuses weights that are missing or of another count", () => {
  const builder = new GraphBuilder("graph");
  builder.parameter("weight", [2, 3]);
  assertThrows(
    () => encodeModel(builder, { weights: new Map() }),
    RangeError,
    "Cannot encode graph: weights weight must have 6 numbers: current value is none",
  );
  assertThrows(
    () => encodeModel(builder, { weights: new Map([["weight", new Float32Array(5)]]) }),
    RangeError,
    "weights weight must have 6 numbers: current value is 5",
  );
});
