/**
 * Finds out how a backend multiplies bytes exactly.
 *
 * x86 CPUs without VNNI multiply unsigned by signed bytes in pairs whose sum has 16 bits: 255·127 twice does
 * not fit and is silently cut off. With unsigned weights they take a slower, exact path. Where
 * the runtime finds VNNI, or in WebAssembly (16-bit products added in 32), signed weights are exact too, and
 * on native 1.6 times as fast. No runtime reports which applies, so it is tested.
 */

import type { Backend } from "../../backend/backend.ts";
import { GraphBuilder, type Node } from "../../onnx/graph.ts";
import { encodeModel } from "../../onnx/model_proto.ts";
import type { ByteType } from "../../onnx/quantized.ts";
import { runOnHost } from "../device_values.ts";

const [ROWS, DEPTH, COLUMNS] = [16, 64, 32]; // kernels of every width have a whole tile of work
const [UINT8, FLOAT] = [2, 1]; // TensorProto.DataType
const [BYTE, WEIGHT] = [255, 127]; // the largest products

/** `int8` where products of unsigned and signed bytes are exact, else `uint8`. */
export async function exactByteType(backend: Backend): Promise<ByteType> {
  const weights = new Map([["weight", new Int8Array(DEPTH * COLUMNS).fill(WEIGHT)]]);
  const session = await backend.load(encodeModel(productGraph(), { weights }));
  try {
    const data = new Float32Array(ROWS * DEPTH).fill(BYTE);
    const x = { dims: [ROWS, DEPTH], data };
    const { product } = await runOnHost(backend, { x }, (on) => session.run(on, ["product"]));
    return product!.data.every((number) => number === DEPTH * BYTE * WEIGHT) ? "int8" : "uint8";
  } finally {
    await session.dispose();
  }
}

function productGraph(): GraphBuilder {
  const graph = new GraphBuilder("byte product");
  const cast = (x: Node, to: number, type: Node["type"]): Node =>
    graph.apply("Cast", [x], x.dims, { attributes: { to }, type });
  const bytes = cast(graph.input("x", ["R", DEPTH]), UINT8, "uint8");
  const weight = graph.parameter("weight", [DEPTH, COLUMNS], "int8");
  const product = graph.apply("MatMulInteger", [bytes, weight], ["R", COLUMNS], { type: "int32" });
  graph.output("product", cast(product, FLOAT, "float32"));
  return graph;
}
