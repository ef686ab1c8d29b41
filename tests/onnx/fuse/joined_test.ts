import { assertEquals } from "@std/assert";
import { keepJoined } from "../../../src/onnx/fuse/joined.ts";
import { withoutUnused } from "../../../src/onnx/fuse/unused.ts";
import { type Graph, GraphBuilder, type Node } from "../../../src/onnx/graph.ts";
import * as operators from "../../../src/onnx/operators.ts";
import { plainGraph } from "./plain_graph.ts";

type Sides = readonly [text: Node, image: Node];

/** Adds the parts of a value that is made of both sides, as single blocks do. */
function block(graph: GraphBuilder, [text, image]: Sides, like: Node): Sides {
  const whole = operators.relu(graph, operators.concat(graph, [text, image], 1));
  const [first, rest] = operators.splitTokens(graph, whole, { like, rest: "T" });
  return [operators.add(graph, text, first), operators.add(graph, image, rest)];
}

function inputs(graph: GraphBuilder): Sides {
  return [graph.input("text", ["N", "M", 8]), graph.input("image", ["N", "T", 8])];
}

function operatorsOf(graph: Graph): string {
  return withoutUnused(keepJoined(plainGraph(graph))).operations.map(({ operator }) => operator)
    .filter((operator) => operator !== "Shape").join(" ");
}

Deno.test("streams that are joined again and again are joined once, and cut where they are read", () => {
  const graph = new GraphBuilder("blocks");
  const sides = inputs(graph);
  let [text, image] = sides;
  for (let i = 0; i < 3; i++) [text, image] = block(graph, [text, image], sides[0]);
  graph.output("image.out", image);
  assertEquals(operatorsOf(graph), "Concat Relu Add Relu Add Relu Add Slice");
});

Deno.test("both streams are there for who reads them", () => {
  const graph = new GraphBuilder("blocks");
  const sides = inputs(graph);
  const between = block(graph, sides, sides[0]);
  graph.output("text.between", between[0]);
  const [text, image] = block(graph, between, sides[0]);
  graph.output("text.out", text);
  graph.output("image.out", image);
  const wanted = "Concat Relu Add Slice Relu Add Slice Slice";
  assertEquals(operatorsOf(graph), wanted);
  const made = keepJoined(plainGraph(graph)).operations.flatMap(({ outputs }) => outputs);
  for (const { node } of graph.outputs) assertEquals(made.includes(node.name), true, node.name);
});

Deno.test("sums of a part that is read twice stay as they are", () => {
  const graph = new GraphBuilder("twice");
  const [text, image] = inputs(graph);
  const whole = operators.relu(graph, operators.concat(graph, [text, image], 1));
  const [first, rest] = operators.splitTokens(graph, whole, { like: text, rest: "T" });
  graph.output("part", operators.relu(graph, first));
  const sums = [operators.add(graph, text, first), operators.add(graph, image, rest)] as const;
  graph.output("again", operators.concat(graph, sums, 1));
  assertEquals(keepJoined(plainGraph(graph)), plainGraph(graph));
});
