/**
 * A graph as ONNX bytes that a runtime loads.
 *
 * *Source:* onnx.proto, IR version 10 (field numbers below), opset 20, com.microsoft 1.
 */

import type { Attribute, Constant, Dim, ElementType, Graph, Node, Operation } from "./graph.ts";
import { MessageWriter } from "./wire.ts";

/** A graph in the form that sessions are made from. */
export interface OnnxModel {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Weights kept beside the message; the runtime finds each by its name. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** Numbers of a weight: float32, the bits of float16, or the integers of a rounded one. */
export type WeightNumbers = Float32Array | Uint16Array | Int8Array | Uint8Array;

export interface EncodeOptions {
  /**
   * Numbers of each parameter by name: they become initializers. Without them every parameter
   * becomes an input, so that many graphs can share one copy.
   */
  readonly weights?: ReadonlyMap<string, WeightNumbers>;
  /** Weights together above this many bytes are kept outside of the message (its limit is 2 GiB). */
  readonly externalAbove?: number;
}

const IR_VERSION = 10;
const OPSETS = [["", 20], ["com.microsoft", 1]] as const;
const TENSOR_TYPE: Record<ElementType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  float16: 10,
};
const ARRAYS = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int32: Int32Array,
  float16: Uint16Array,
} as const;
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;
const EXTERNAL = 1; // TensorProto.DataLocation
const DEFAULT_EXTERNAL_ABOVE = 1 << 20;

/**
 * Serialises a graph.
 *
 * @throws {RangeError} When a parameter has no weights, or their count or type is not its own.
 */
export function encodeModel(graph: Graph, options: EncodeOptions = {}): OnnxModel {
  const { weights, externalAbove = DEFAULT_EXTERNAL_ABOVE } = options;
  const bound = weights === undefined ? [] : graph.parameters.map((node) => bind(node, weights));
  const total = bound.reduce((sum, { data }) => sum + data.length, 0);
  const external = total > externalAbove;
  const weightInputs = weights === undefined ? graph.parameters : [];

  const proto = new MessageWriter();
  const names = new Map(graph.outputs.map(({ name, node }) => [node.name, name]));
  graph.operations.forEach((operation) => proto.message(1, operationProto(operation, names)));
  proto.string(2, graph.name);
  graph.constants.forEach((constant) => proto.message(5, constantProto(constant)));
  bound.forEach(({ node, data }) => proto.message(5, weightProto(node, data, external)));
  [...graph.inputs, ...weightInputs].forEach((node) => proto.message(11, valueProto(node)));
  graph.outputs.forEach(({ name, node }) => proto.message(12, valueProto({ ...node, name })));

  return {
    name: graph.name,
    bytes: modelProto(proto).finish(),
    externalData: external ? bound.map(({ node, data }) => ({ path: node.name, data })) : [],
  };
}

function bind(
  node: Node,
  weights: ReadonlyMap<string, WeightNumbers>,
): { node: Node; data: Uint8Array } {
  const numbers = weights.get(node.name);
  const wanted = node.dims.reduce<number>((product, size) => product * Number(size), 1);
  if (numbers?.length !== wanted) {
    throw new RangeError(
      `Cannot encode graph: weights ${node.name} must have ${wanted} numbers: ` +
        `current value is ${numbers?.length ?? "none"}`,
    );
  }
  if (node.type === "int64" || !(numbers instanceof ARRAYS[node.type])) {
    throw new RangeError(
      `Cannot encode graph: weights ${node.name} must be ${node.type}: ` +
        `current value is ${numbers.constructor.name}`,
    );
  }
  return {
    node,
    data: new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
  };
}

function modelProto(graph: MessageWriter): MessageWriter {
  const model = new MessageWriter().integer(1, IR_VERSION).string(2, "invardiff").message(7, graph);
  for (const [domain, version] of OPSETS) {
    model.message(8, new MessageWriter().string(1, domain).integer(2, version));
  }
  return model;
}

/** `names` maps values that are results of the graph to their public names. */
function operationProto(operation: Operation, names: ReadonlyMap<string, string>): MessageWriter {
  const proto = new MessageWriter();
  operation.inputs.forEach((name) => proto.string(1, names.get(name) ?? name));
  operation.outputs.forEach((name) => proto.string(2, names.get(name) ?? name));
  proto.string(3, operation.outputs[0] ?? "").string(4, operation.operator);
  for (const [name, value] of Object.entries(operation.attributes)) {
    proto.message(5, attributeProto(name, value));
  }
  return operation.domain === "" ? proto : proto.string(7, operation.domain);
}

function attributeProto(name: string, value: Attribute): MessageWriter {
  const proto = new MessageWriter().string(1, name);
  if (typeof value === "number") return proto.integer(3, value).integer(20, ATTRIBUTE_TYPE.int);
  if (typeof value === "string") return proto.string(4, value).integer(20, ATTRIBUTE_TYPE.string);
  if ("float" in value) return proto.float(2, value.float).integer(20, ATTRIBUTE_TYPE.float);
  return proto.integers(8, value).integer(20, ATTRIBUTE_TYPE.ints);
}

function constantProto({ name, type, dims, values }: Constant): MessageWriter {
  const numbers = type === "int64"
    ? BigInt64Array.from(values, (value) => BigInt(value))
    : ARRAYS[type].from(values);
  return tensorProto(name, type, dims).bytes(9, new Uint8Array(numbers.buffer));
}

function weightProto(node: Node, data: Uint8Array, external: boolean): MessageWriter {
  const proto = tensorProto(node.name, node.type, node.dims);
  if (!external) return proto.bytes(9, data);
  return proto
    .message(13, new MessageWriter().string(1, "location").string(2, node.name))
    .message(13, new MessageWriter().string(1, "length").string(2, `${data.length}`))
    .integer(14, EXTERNAL);
}

function tensorProto(name: string, type: ElementType, dims: readonly Dim[]): MessageWriter {
  return new MessageWriter().integers(1, dims.map(Number)).integer(2, TENSOR_TYPE[type])
    .string(8, name);
}

function valueProto({ name, type, dims }: Node): MessageWriter {
  const shape = new MessageWriter();
  for (const size of dims) {
    const dimension = new MessageWriter();
    shape.message(
      1,
      typeof size === "number" ? dimension.integer(1, size) : dimension.string(2, size),
    );
  }
  const tensorType = new MessageWriter().integer(1, TENSOR_TYPE[type]).message(2, shape);
  return new MessageWriter().string(1, name).message(2, new MessageWriter().message(1, tensorType));
}
