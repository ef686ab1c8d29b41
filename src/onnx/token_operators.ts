/**
 * Typed operators that only graphs of some tokens use: to take these, and to tell which of them others look at.
 *
 * Shapes in comments and errors: N batch, T tokens, D width, H heads.
 *
 * *Source:* ONNX operator specification, opset 20.
 */

import { expectDims, type GraphBuilder, type Node } from "./graph.ts";
import { add, multiply, splitLast, transpose } from "./operators.ts";

const INT64 = 7; // TensorProto.DataType

/**
 * What each token is attended to: attention's weights, summed over queries and heads; q and k are `(N, S, D)`, the result
 * is `(N, S)`. A head at a time, since the weights of all heads of 4,608 tokens would take 2 GiB.
 */
export function attendedSums(
  graph: GraphBuilder,
  [q, k]: readonly [Node, Node],
  heads: number,
): Node {
  const [batch, tokens] = q.dims;
  const scale = Math.sqrt(heads / Number(q.dims[2]));
  const queries = splitLast(
    graph,
    multiply(graph, q, graph.constant([1], [scale], "float32")),
    heads,
  );
  const keys = splitLast(graph, k, heads);
  const overQueries = graph.constant([1], [1], "int64"); // the axis that is summed
  return queries.map((query, head) => {
    const turned = transpose(graph, keys[head]!, [0, 2, 1]); // as many heads
    const products = graph.apply("MatMul", [query, turned], [batch!, tokens!, tokens!]); // rank 3
    const weights = graph.apply("Softmax", [products], products.dims, { attributes: { axis: -1 } });
    return graph.apply("ReduceSum", [weights, overQueries], [batch!, tokens!], {
      attributes: { keepdims: 0 },
    });
  }).reduce((sum, one) => add(graph, sum, one));
}

/** Tokens of x `(N, T, D)` at indices `(N, K, 1)` given as float32: the result is `(N, K, D)`. */
export function gatherTokens(graph: GraphBuilder, x: Node, indices: Node): Node {
  const [batch, count] = indices.dims;
  expectDims("GatherND indices", indices.dims, [x.dims[0]!, count ?? "tokens", 1]); // x has rank 3
  const whole = graph.apply("Cast", [indices], indices.dims, {
    attributes: { to: INT64 },
    type: "int64",
  });
  return graph.apply("GatherND", [x, whole], [batch!, count!, x.dims[2]!], {
    attributes: { batch_dims: 1 },
  });
}
