/**
 * Linear layers in integer arithmetic.
 *
 * *Source:* ONNX `MatMulInteger`; com.microsoft `MatMulIntegerToFloat` and `MatMulNBits` of ONNX Runtime.
 */

import { scaleName } from "../tensor/quantize.ts";
import type { GraphBuilder, LinearLayer, LinearLowering, Node } from "./graph.ts";
import { biasOf, plainLinear } from "./linear.ts";
import * as operators from "./operators.ts";

/** How the elements of an 8-bit weight are stored: signed, or plus 128. */
export type ByteType = "int8" | "uint8";

const UINT8 = 2; // TensorProto.DataType
const LARGEST = 127;
const ZERO_POINT = 128;
/** Rows whose largest number is smaller are rounded as if it were this: a scale must not be 0. */
const TINY = 1e-30;

/** Rows in 8 bits, each with a scale of its own. */
interface QuantizedRows {
  /** `(rows, in)`, plus 128. */
  readonly values: Node;
  /** `(rows, 1)`. */
  readonly scale: Node;
}

/**
 * Layers in 8 bits (W8A8): weights with a scale for each output, activations with one for each token, so that
 * a row's result does not depend on its neighbours. Layers with the same input share its rounding; those of uneven
 * inputs stay float32.
 */
export function byteLowering(type: ByteType): LinearLowering {
  const known = new WeakMap<Node, QuantizedRows>();
  return (graph, x, layer) => {
    if (layer.unevenInput) return plainLinear(graph, x, layer);
    const rows = known.get(x) ?? quantizeRows(graph, operators.asRows(graph, x));
    known.set(x, rows);
    return operators.likeRows(graph, byteLinear(graph, rows, { ...layer, type }), x, layer.out);
  };
}

/** The largest number of a row becomes ±127. */
function quantizeRows(graph: GraphBuilder, x: Node): QuantizedRows {
  const number = (value: number): Node => graph.constant([1], [value], "float32");
  const rows = [x.dims[0]!]; // rank 2
  const sizes = graph.apply("Abs", [x], x.dims);
  const last = graph.constant([1], [-1], "int64");
  const largest = graph.apply("ReduceMax", [sizes, last], rows, { attributes: { keepdims: 0 } });
  const bounded = graph.apply("Max", [largest, number(TINY)], rows);
  const scale = operators.multiply(graph, bounded, number(1 / LARGEST));
  const nothing = operators.multiply(graph, scale, number(0));
  const middle = operators.add(graph, nothing, number(ZERO_POINT)); // one zero point for each scale
  const zeros = graph.apply("Cast", [middle], rows, { attributes: { to: UINT8 }, type: "uint8" });
  return {
    values: graph.apply("QuantizeLinear", [x, scale, zeros], x.dims, {
      attributes: { axis: 0 },
      type: "uint8",
    }),
    scale: operators.reshape(graph, scale, [x.dims[0]!, 1]), // rank 2
  };
}

function byteLinear(
  graph: GraphBuilder,
  { values, scale }: QuantizedRows,
  { type, ...layer }: LinearLayer & { readonly type: ByteType },
): Node {
  const [rows, width] = values.dims;
  const weight = graph.parameter(layer.weight, [Number(width), layer.out], type);
  const scales = graph.parameter(scaleName(layer.weight), [layer.out]);
  const zero = graph.constant([], [ZERO_POINT], "uint8");
  const one = graph.constant([], [1], "float32"); // it takes no scale for each row: that is applied after it
  const operands = [values, weight, one, scales, zero, ...(type === "uint8" ? [zero] : [])];
  const product = graph.apply("MatMulIntegerToFloat", operands, [rows!, layer.out], { // rank 2
    domain: "com.microsoft",
    type: "float32",
  });
  const result = operators.multiply(graph, product, scale);
  const bias = biasOf(graph, layer);
  return bias === undefined ? result : operators.add(graph, result, bias);
}

/** Layers whose weights are 4 bits, with a scale for every 32 inputs; activations stay float32. */
export function blockLowering(block: number): LinearLowering {
  return (graph, x, layer) => {
    const width = Number(x.dims.at(-1));
    const blocks = width / block;
    const weight = graph.parameter(layer.weight, [layer.out, blocks, block / 2], "uint8");
    const scales = graph.parameter(scaleName(layer.weight), [layer.out * blocks]);
    const dims = [...x.dims.slice(0, -1), layer.out];
    const product = graph.apply("MatMulNBits", [x, weight, scales], dims, {
      domain: "com.microsoft",
      attributes: { K: width, N: layer.out, bits: 4, block_size: block },
    });
    const bias = biasOf(graph, layer);
    return bias === undefined ? product : operators.add(graph, product, bias);
  };
}
