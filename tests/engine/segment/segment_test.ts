import { assertEquals } from "@std/assert";
import {
  buildSegment,
  combinationRecipe,
  type Part,
  type Segment,
  segmentKey,
  segmentOutputs,
} from "../../../src/engine/segment/segment.ts";
import {
  cutSegments,
  EMBEDDING,
  fullStep,
  HEAD,
  stepParts,
} from "../../../src/engine/segment/step_segments.ts";
import { dit } from "../../../src/model/dit/dit.ts";
import { parseDitConfig } from "../../../src/model/dit/config.ts";
import type { GraphBuilder } from "../../../src/onnx/graph.ts";

const TRANSFORMER = dit(
  parseDitConfig({ input_size: 8, hidden_size: 48, depth: 2, num_heads: 3, num_classes: 7 }),
);
const TOKENS = ["N", 16, 48];

function run(index: number, store = false): Part {
  return { kind: "module", index, action: "run", store };
}

function reuse(index: number): Part {
  return { kind: "module", index, action: "reuse", store: false };
}

function inputsOf(graph: GraphBuilder): unknown {
  return graph.inputs.map(({ name, dims }) => [name, dims]);
}

Deno.test("a module that runs takes its stream and modulation and gives its stream back", () => {
  const graph = buildSegment(TRANSFORMER, [run(1)]);
  assertEquals(inputsOf(graph), [["modulation", ["N", 3, 48]], ["x.in", TOKENS]]);
  assertEquals(graph.outputs.map(({ name, node }) => [name, node.dims]), [["x", TOKENS]]);
  assertEquals(graph.parameters.map(({ name }) => name), [
    "blocks.0.mlp.fc1.weight",
    "blocks.0.mlp.fc1.bias",
    "blocks.0.mlp.fc2.weight",
    "blocks.0.mlp.fc2.bias",
  ]);
});

Deno.test("a module that stores gives its feature too", () => {
  const graph = buildSegment(TRANSFORMER, [run(2, true)]);
  assertEquals(graph.outputs.map(({ name }) => name), ["feature.blocks.1.attn.0", "x"]);
  assertEquals(segmentOutputs(TRANSFORMER, [run(2, true)]), ["x", "feature.blocks.1.attn.0"]);
});

Deno.test("a module that is reused takes its feature and needs no weights", () => {
  const graph = buildSegment(TRANSFORMER, [reuse(0)]);
  assertEquals(inputsOf(graph), [
    ["modulation", ["N", 3, 48]],
    ["x.in", TOKENS],
    ["feature.blocks.0.attn.0", TOKENS],
  ]);
  assertEquals(graph.parameters, []);
  assertEquals(graph.operations.map(({ operator }) => operator), [
    ...["Slice", "Slice", "Slice"], // the runtime removes shift and scale, which nobody uses
    ...["Mul", "Add"],
  ]);
});

Deno.test("a whole step is latents to prediction with the modulation of all its parts", () => {
  const segment = stepParts(fullStep(4));
  const graph = buildSegment(TRANSFORMER, segment);
  assertEquals(inputsOf(graph), [
    ["modulation", ["N", 4 * 3 + 2, 48]],
    ["latent", ["N", 4, 8, 8]],
  ]);
  assertEquals(graph.outputs.map(({ name, node }) => [name, node.dims]), [
    ["prediction", ["N", 8, 8, 8]], // 4 channels of noise, 4 of variance
  ]);
  assertEquals(segmentOutputs(TRANSFORMER, segment), ["prediction"]);
});

Deno.test("an embedding alone takes no modulation", () => {
  const graph = buildSegment(TRANSFORMER, [EMBEDDING]);
  assertEquals(inputsOf(graph), [["latent", ["N", 4, 8, 8]]]);
  assertEquals(segmentOutputs(TRANSFORMER, [EMBEDDING]), ["x"]);
});

Deno.test("segments with the same graph have the same key, others another", () => {
  const segments: readonly Segment[] = [
    [EMBEDDING],
    [HEAD],
    [run(1)],
    [run(1, true)],
    [reuse(1)],
    [run(1), run(2)],
    [run(12)],
  ];
  const keys = segments.map(segmentKey);
  assertEquals(new Set(keys).size, segments.length);
  assertEquals(segmentKey([run(1)]), keys[2]);
});

Deno.test("combinations take a second operand beside each stream", () => {
  for (const [operator, name] of [["add", "Add"], ["subtract", "Sub"]] as const) {
    const graph = combinationRecipe(TRANSFORMER, operator).build();
    assertEquals(graph.inputs.map(({ name }) => name).sort(), ["x.in", "x.other"]);
    assertEquals(graph.operations.map(({ operator, inputs }) => [operator, inputs]), [
      [name, ["x.in", "x.other"]],
    ]);
    assertEquals(graph.outputs.map(({ name }) => name), ["x"]);
  }
});

Deno.test("cutSegments() leaves parts in one graph where weights are shared", () => {
  const parts = [EMBEDDING, run(0), reuse(1), HEAD];
  assertEquals(cutSegments(parts, "inputs"), [parts]);
});

Deno.test("cutSegments() joins only neighbours that are reused where sessions own weights", () => {
  const parts = [EMBEDDING, reuse(0), reuse(1), run(2), reuse(3), HEAD];
  assertEquals(cutSegments(parts, "initializers"), [
    [EMBEDDING],
    [reuse(0), reuse(1)],
    [run(2)],
    [reuse(3)],
    [HEAD],
  ]);
});
