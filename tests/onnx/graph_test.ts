import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { GraphBuilder } from "../../src/onnx/graph.ts";
import { add, multiply } from "../../src/onnx/operators.ts";

Deno.test("a graph lists inputs, parameters, operators and outputs in the order they were added", () => {
  const graph = new GraphBuilder("two steps");
  const x = graph.input("x", ["N", 2]);
  const weight = graph.parameter("weight", [2]);
  const sum = add(graph, x, weight);
  const product = multiply(graph, sum, graph.parameter("scale", [2]));
  graph.output("result", product);
  assertEquals(graph.inputs, [{ name: "x", type: "float32", dims: ["N", 2] }]);
  assertEquals(graph.parameters.map(({ name }) => name), ["weight", "scale"]);
  assertEquals(graph.operations.map(({ operator }) => operator), ["Add", "Mul"]);
  assertEquals(graph.operations[1]!.inputs, [sum.name, "scale"]);
  assertEquals(graph.outputs, [{ name: "result", node: product }]);
});

Deno.test("parameter() gives the same node for the same name and refuses another shape", () => {
  const graph = new GraphBuilder("graph");
  assertStrictEquals(graph.parameter("weight", [2, 3]), graph.parameter("weight", [2, 3]));
  assertEquals(graph.parameters.length, 1);
  assertThrows(
    () => graph.parameter("weight", [3, 2]),
    RangeError,
    "Cannot build graph: parameter weight must be [2,3]: current value is [3,2]",
  );
});

Deno.test("constant() stores equal constants once and tells types, shapes and numbers apart", () => {
  const graph = new GraphBuilder("graph");
  const one = graph.constant([1], [1], "float32");
  assertStrictEquals(graph.constant([1], [1], "float32"), one);
  const others = [
    graph.constant([1], [1], "int64"),
    graph.constant([], [1], "float32"),
    graph.constant([2], [1, 1], "float32"),
    graph.constant([2], [1, 2], "float32"),
    graph.constant([2], [2, 1], "float32"),
  ];
  assertEquals(new Set([one, ...others].map(({ name }) => name)).size, 6);
  assertEquals(graph.constants.length, 6);
});

Deno.test("constant() refuses another count of numbers than its shape has", () => {
  assertThrows(
    () => new GraphBuilder("graph").constant([2, 2], [1, 2, 3], "float32"),
    RangeError,
    "Cannot add constant [2,2] to graph: it must have 4 numbers: current value is 3",
  );
});

Deno.test("input() and output() refuse a name that is taken", () => {
  const graph = new GraphBuilder("graph");
  const x = graph.input("x", [1]);
  assertThrows(() => graph.input("x", [1]), RangeError, "Cannot add input x to graph");
  const sum = add(graph, x, x);
  graph.output("y", sum);
  assertThrows(() => graph.output("y", add(graph, x, sum)), RangeError, "Cannot add output y");
  assertThrows(
    () => graph.output("z", sum),
    RangeError,
    "Cannot add output z to graph: it must be",
  );
});

Deno.test("output() refuses a value that no operator makes", () => {
  const graph = new GraphBuilder("graph");
  const message = "Cannot add output y to graph: an operator must make it";
  assertThrows(() => graph.output("y", graph.input("x", [1])), RangeError, message);
  assertThrows(() => graph.output("y", graph.parameter("w", [1])), RangeError, message);
});

Deno.test("apply() leaves an optional input out by an empty name", () => {
  const graph = new GraphBuilder("graph");
  const x = graph.input("x", [2]);
  graph.apply("Clip", [x, undefined, graph.constant([], [1], "float32")], [2]);
  assertEquals(graph.operations[0]!.inputs, ["x", "", "constant.0"]);
});
