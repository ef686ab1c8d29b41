import { assertEquals } from "@std/assert";
import { leaveLayouts } from "../../../src/onnx/fuse/layouts.ts";
import { GraphBuilder, type Node } from "../../../src/onnx/graph.ts";
import * as operators from "../../../src/onnx/operators.ts";
import { plainGraph } from "./plain_graph.ts";

const ANY = (): boolean => true;

/** Latents `(N, 2, 4)` to patches `(N, 2, 2, 2)` and back, with something between. */
function patched(between: (graph: GraphBuilder, patches: Node) => Node): GraphBuilder {
  const graph = new GraphBuilder("patches");
  const x = graph.input("x", ["N", 2, 4]);
  const cut = operators.reshape(graph, x, ["N", 2, 2, 2]);
  const made = between(graph, operators.transpose(graph, cut, [0, 2, 1, 3]));
  const back = operators.transpose(graph, made, [0, 2, 3, 1]);
  graph.output("y", operators.reshape(graph, back, ["N", 4, 2]));
  return graph;
}

Deno.test("patches are cut and joined outside of the graph", () => {
  const { graph, layouts } = leaveLayouts(plainGraph(patched(operators.relu)), ANY);
  assertEquals(graph.operations.map(({ operator, inputs }) => [operator, inputs]), [[
    "Relu",
    ["x"],
  ]]);
  assertEquals(Object.fromEntries(layouts), {
    x: { dims: ["N", 2, 2, 2], order: [0, 2, 1, 3] },
    y: { dims: ["N", 2, 2, 2], order: [0, 3, 1, 2] },
  });
  assertEquals(graph.inputs[0]?.dims, ["N", 2, 2, 2]);
  assertEquals(graph.outputs[0]?.node.name, graph.operations[0]?.outputs[0]);
});

Deno.test("what must not be rearranged, or is read in its own order too, is left as it is", () => {
  const plain = plainGraph(patched(operators.relu));
  assertEquals(leaveLayouts(plain, () => false).graph.operations, plain.operations);
  const both = patched((graph, x) => {
    graph.output("again", operators.relu(graph, graph.inputs[0]!));
    graph.output("patches", x);
    return operators.relu(graph, x);
  });
  const { layouts, graph } = leaveLayouts(plainGraph(both), ANY);
  assertEquals([...layouts.keys()], ["y"]);
  assertEquals(graph.operations.filter(({ operator }) => operator === "Transpose").length, 1);
});

Deno.test("rows of a batch stay apart: who mixes them keeps its operators", () => {
  const graph = new GraphBuilder("mixed");
  const cut = operators.reshape(graph, graph.input("x", ["N", 2, 2]), ["N", 2, 2]);
  const mixed = operators.transpose(graph, cut, [1, 0, 2]);
  graph.output("y", operators.relu(graph, mixed));
  assertEquals(leaveLayouts(plainGraph(graph), ANY).layouts.size, 0);
});
