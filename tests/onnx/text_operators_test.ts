import { assertEquals, assertThrows } from "@std/assert";
import { type Dim, GraphBuilder } from "../../src/onnx/graph.ts";
import { affineLayerNorm, biasedAttention } from "../../src/onnx/text_operators.ts";

/** Attention over inputs of these shapes. Numbers are the conformance suite's. */
function attend(tokens: readonly Dim[], bias: readonly Dim[], heads = 4): readonly Dim[] {
  const graph = new GraphBuilder("graph");
  const [q, k, v] = ["q", "k", "v"].map((name) => graph.input(name, tokens));
  const options = { heads, bias: graph.input("bias", bias), scale: 1 };
  return biasedAttention(graph, [q!, k!, v!], options).dims;
}

Deno.test("biasedAttention() takes a bias for each head, or one for all", () => {
  assertEquals(attend(["N", "M", 24], ["N", 4, "M", "M"]), ["N", "M", 24]);
  assertEquals(attend(["N", "M", 24], ["N", 1, "M", "M"]), ["N", "M", 24]);
});

Deno.test("biasedAttention() refuses biases of other shapes and heads that do not divide the width", () => {
  for (const bias of [["N", 3, "M", "M"], ["N", 4, "M", "T"], [1, 4, "M", "M"], ["N", 4, "M"]]) {
    assertThrows(() => attend(["N", "M", 24], bias), RangeError, "attention bias must be");
  }
  assertThrows(
    () => attend(["N", "M", 24], ["N", 5, "M", "M"], 5),
    RangeError,
    "attention width must be a multiple of 5: current value is 24",
  );
});

Deno.test("affineLayerNorm() refuses a weight of another width", () => {
  const graph = new GraphBuilder("graph");
  const x = graph.input("x", ["N", "M", 8]);
  const [weight, bias] = [graph.parameter("weight", [8]), graph.parameter("bias", [4])];
  assertThrows(
    () => affineLayerNorm(graph, x, { weight, bias, epsilon: 1e-5 }),
    RangeError,
    "LayerNormalization bias must be [8]",
  );
});
