import { assertEquals } from "@std/assert";
import { addInProducts } from "../../../src/onnx/fuse/added_products.ts";
import { GraphBuilder, type Node } from "../../../src/onnx/graph.ts";
import { linearLayer } from "../../../src/onnx/linear.ts";
import * as operators from "../../../src/onnx/operators.ts";
import { plainGraph } from "./plain_graph.ts";

function counts(graph: GraphBuilder): readonly number[] {
  const { operations } = addInProducts(plainGraph(graph));
  const gemms = operations.filter(({ operator }) => operator === "Gemm");
  return [
    operations.filter(({ operator }) => operator === "Add").length,
    ...gemms.map(({ inputs }) => inputs.length),
  ];
}

function product(graph: GraphBuilder, name: string, bias?: string): Node {
  const x = graph.input(name, ["N", 3, 4]);
  return linearLayer(graph, x, { weight: `${name}.weight`, out: 4, ...(bias && { bias }) });
}

Deno.test("a bias that is added to a product, and then another value, are added by its operator", () => {
  const graph = new GraphBuilder("sums");
  const share = operators.add(graph, product(graph, "a"), graph.parameter("bias", [4]));
  graph.output("y", operators.add(graph, share, product(graph, "b")));
  assertEquals(counts(graph), [0, 3, 3]);
});

Deno.test("a product that has a bias, is a result, or is read twice is left alone", () => {
  const graph = new GraphBuilder("left");
  const x = graph.input("x", ["N", 3, 4]);
  const kept = product(graph, "kept");
  graph.output("kept.out", kept);
  const twice = product(graph, "twice");
  const sums = [product(graph, "full", "full.bias"), kept, twice, twice]
    .map((y) => operators.add(graph, x, y));
  graph.output("y", sums.reduce((sum, y) => operators.multiply(graph, sum, y)));
  assertEquals(counts(graph), [4, 2, 2, 3]);
});

Deno.test("a product is not given what has another shape than its result", () => {
  const graph = new GraphBuilder("gate");
  const gate = graph.input("gate", ["N", 1, 4]);
  graph.output("y", operators.add(graph, product(graph, "a"), gate));
  assertEquals(counts(graph), [1, 2]);
});
