/**
 * Linear layers whose weights are kept as float16 and widened where they are used.
 */

import type { LinearLowering } from "./graph.ts";
import { biasOf } from "./linear.ts";
import { linear } from "./operators.ts";

const FLOAT = 1; // TensorProto.DataType

/** A layer in float32 over a float16 weight: every number of which is one of float32 too. */
export const halfLowering: LinearLowering = (graph, x, layer) => {
  const stored = graph.parameter(layer.weight, [layer.out, Number(x.dims.at(-1))], "float16");
  const weight = graph.apply("Cast", [stored], stored.dims, {
    attributes: { to: FLOAT },
    type: "float32",
  });
  return linear(graph, x, weight, biasOf(graph, layer));
};
