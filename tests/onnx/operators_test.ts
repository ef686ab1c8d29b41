import { assertEquals, assertThrows } from "@std/assert";
import { type Dim, GraphBuilder, type Node } from "../../src/onnx/graph.ts";
import * as operators from "../../src/onnx/operators.ts";

/** What an operator makes of inputs of these shapes. Their numbers are the conformance suite's. */
function dimsOf(
  shapes: readonly (readonly Dim[])[],
  build: (graph: GraphBuilder, inputs: readonly [Node, Node, Node]) => Node,
): readonly Dim[] {
  const graph = new GraphBuilder("graph");
  const inputs = shapes.map((dims, i) => graph.input(`x${i}`, dims));
  return build(graph, inputs as unknown as [Node, Node, Node]).dims; // as many as there are shapes
}

Deno.test("elementwise operators broadcast as NumPy does, names of sizes too", () => {
  const sum = (a: readonly Dim[], b: readonly Dim[]): readonly Dim[] =>
    dimsOf([a, b], (graph, [x, y]) => operators.add(graph, x, y));
  assertEquals(sum(["N", 1, 4], ["N", 6, 4]), ["N", 6, 4]);
  assertEquals(sum([6, 1], ["N", 1, 4]), ["N", 6, 4]);
  assertEquals(sum([1], ["N"]), ["N"]);
  assertEquals(sum([], [2]), [2]);
});

Deno.test("elementwise operators refuse shapes that do not fit and say both", () => {
  for (const operator of [operators.add, operators.subtract, operators.multiply]) {
    assertThrows(
      () => dimsOf([["N", 4], ["N", 5]], (graph, [x, y]) => operator(graph, x, y)),
      RangeError,
      "shapes must fit: current value is [N,4] and [N,5]",
    );
  }
  assertThrows(
    () => dimsOf([["N", 4], ["M", 4]], (graph, [x, y]) => operators.add(graph, x, y)),
    RangeError,
    "Add shapes must fit: current value is [N,4] and [M,4]",
  );
});

Deno.test("linear() keeps the leading axes and refuses weights of another shape", () => {
  const linear = (...shapes: readonly (readonly Dim[])[]): readonly Dim[] =>
    dimsOf(shapes, (graph, [x, weight, bias]) => operators.linear(graph, x, weight, bias));
  assertEquals(linear(["N", 6, 4], [8, 4], [8]), ["N", 6, 8]);
  assertEquals(linear(["N", 4], [8, 4], [8]), ["N", 8]);
  const refuses = (shapes: readonly (readonly Dim[])[], message: string): unknown =>
    assertThrows(() => linear(...shapes), RangeError, `Cannot build graph: Linear ${message}`);
  refuses([["N", 4], [8, 5], [8]], "weight must be [8,4]: current value is [8,5]");
  refuses([["N", 4], [8], [8]], "weight must be [8,4]: current value is [8]");
  refuses([["N", 4], [8, 4], [7]], "bias must be [8]: current value is [7]");
  refuses([["N", "D"], [8, 4], [8]], "needs a known size: current value is D");
});

Deno.test("attention() refuses keys, values and heads that do not fit its queries", () => {
  const attention = (heads: number, ...shapes: readonly (readonly Dim[])[]): readonly Dim[] =>
    dimsOf(shapes, (graph, inputs) => operators.attention(graph, inputs, heads));
  const tokens = ["N", 6, 12];
  assertEquals(attention(3, tokens, ["N", 9, 12], ["N", 9, 12]), tokens);
  const refuses = (fn: () => unknown, message: string): unknown =>
    assertThrows(fn, RangeError, `Cannot build graph: attention ${message}`);
  refuses(
    () => attention(3, tokens, ["N", 9, 16], ["N", 9, 16]),
    "key must be [N,9,12]: current value is [N,9,16]",
  );
  refuses(
    () => attention(3, tokens, ["N", 9, 12], ["N", 8, 12]),
    "value must be [N,9,12]: current value is [N,8,12]",
  );
  refuses(
    () => attention(5, tokens, tokens, tokens),
    "width must be a multiple of 5: current value is 12",
  );
  refuses(() => attention(1, ["N", 6], ["N", 6], ["N", 6]), "needs a known size");
});

Deno.test("splitLast() cuts into equal parts or refuses", () => {
  const split = (parts: number): readonly Dim[] =>
    dimsOf([["N", 6, 12]], (graph, [x]) => operators.splitLast(graph, x, parts)[parts - 1]!);
  assertEquals(split(3), ["N", 6, 4]);
  assertThrows(
    () => split(5),
    RangeError,
    "Split width must be a multiple of 5: current value is 12",
  );
});

Deno.test("reshape() refuses shapes of another count, whatever names stand for", () => {
  const reshape = (dims: readonly Dim[], from: readonly Dim[] = ["N", 6, 4]): readonly Dim[] =>
    dimsOf([from], (graph, [x]) => operators.reshape(graph, x, dims));
  for (const dims of [["N", 24], ["N*6", 4], [6, "4*N"], ["N", 2, 3, 2, 2]]) {
    assertEquals(reshape(dims), dims);
  }
  assertEquals(reshape(["N*(M+T)", 8], ["N", "M+T", 8]), ["N*(M+T)", 8]);
  for (const dims of [["N", 25], ["rows", 4], ["M", 24], [24], ["N*N", 24]]) {
    assertThrows(
      () => reshape(dims),
      RangeError,
      `Reshape must keep the count of [N,6,4]: current value is [${dims}]`,
    );
  }
  assertThrows(
    () => reshape(["T", "N"], ["N", "T"]),
    RangeError,
    "Reshape must have one new size with a name at most: current value is [T,N] of [N,T]",
  );
});

Deno.test("transpose() names each axis once or refuses", () => {
  const transpose = (order: readonly number[]): readonly Dim[] =>
    dimsOf([["N", 6, 4]], (graph, [x]) => operators.transpose(graph, x, order));
  assertEquals(transpose([2, 0, 1]), [4, "N", 6]);
  for (const order of [[0, 1], [0, 1, 1], [0, 1, 3]]) {
    assertThrows(() => transpose(order), RangeError, "Transpose axes must be [0,1,2]");
  }
});

Deno.test("slice() stays inside of its axis or refuses", () => {
  const slice = (axis: number, first: number, count: number): readonly Dim[] =>
    dimsOf([["N", 6, 4]], (graph, [x]) => operators.slice(graph, x, { axis, first, count }));
  assertEquals(slice(1, 5, 1), ["N", 1, 4]);
  assertEquals(slice(2, 0, 4), ["N", 6, 4]);
  for (const [first, count] of [[5, 2], [-1, 2], [2, 0]] as const) {
    assertThrows(() => slice(1, first, count), RangeError, "Slice rows must be in 0 … 5: current");
  }
  assertThrows(() => slice(0, 0, 1), RangeError, "Slice needs a known size: current value is N");
  assertThrows(() => slice(3, 0, 1), RangeError, "Slice needs a known size");
});

Deno.test("gatherRows() has the shape of its indices, then of a row", () => {
  const dims = dimsOf([[7, 24], ["N"]], (graph, [table, rows]) => {
    return operators.gatherRows(graph, table, rows);
  });
  assertEquals(dims, ["N", 24]);
});

Deno.test("concat() adds sizes along its axis and refuses others that differ", () => {
  const concat = (axis: number, ...shapes: readonly (readonly Dim[])[]): readonly Dim[] =>
    dimsOf(shapes, (graph, parts) => operators.concat(graph, parts, axis));
  assertEquals(concat(1, ["N", 6, 4], ["N", 1, 4], ["N", 2, 4]), ["N", 9, 4]);
  assertThrows(() => concat(1), RangeError, "Concat needs a part");
  assertThrows(
    () => concat(1, ["N", 6, 4], ["N", 6, 5]),
    RangeError,
    "Concat part must be [N,any,4]: current value is [N,any,5]",
  );
  assertThrows(() => concat(1, ["N", 6, 4], ["N", 6]), RangeError, "Concat part must be [N,any,4]");
  assertThrows(() => concat(3, ["N", 6], ["N", 6]), RangeError, "Concat needs a known size");
});

Deno.test("layerNorm() needs to know the width that it normalises", () => {
  assertThrows(
    () => dimsOf([["N", "D"]], (graph, [x]) => operators.layerNorm(graph, x, 1e-6)),
    RangeError,
    "LayerNormalization needs a known size: current value is D",
  );
});
