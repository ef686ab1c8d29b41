import { assertEquals } from "@std/assert";
import { openWasm } from "../../src/backend/wasm.ts";
import { buildStep } from "../../src/engine/device/step_graph.ts";
import { evenStep, trunkStep } from "../../src/engine/segment/step_segments.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { dit } from "../../src/model/dit/dit.ts";
import { fuse, type Fused } from "../../src/onnx/fuse.ts";
import { type Graph, GraphBuilder } from "../../src/onnx/graph.ts";
import { encodeModel } from "../../src/onnx/model_proto.ts";
import * as operators from "../../src/onnx/operators.ts";
import { sizeOf } from "../../src/onnx/sizes.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { assertClose } from "../conformance/compare.ts";

const TRANSFORMER = dit(
  parseDitConfig({ input_size: 8, hidden_size: 48, depth: 3, num_heads: 4, num_classes: 7 }),
);
const ANY = { canStack: () => true };

function countOf({ operations }: Graph): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { operator } of operations) counts[operator] = (counts[operator] ?? 0) + 1;
  return counts;
}

/** Runs a graph on numbers that depend on the names of its inputs only. */
async function run(
  graph: Graph,
  { offsets, stacks }: Pick<Fused, "offsets" | "stacks">,
): Promise<Tensor> {
  const backend = await openWasm({ threads: 1 });
  const session = await backend.load(encodeModel(graph));
  const numbers = (name: string, dims: readonly number[]): Float32Array => {
    const seed = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 100_003, 7);
    return normalNoise(dims, seed).data.map((value) => 0.1 * value + (offsets.get(name) ?? 0));
  };
  const inputs = [...graph.inputs, ...graph.parameters].map(({ name, dims }) => {
    const sizes = dims.map((size) => sizeOf(size, { N: 2 }));
    const members = stacks.get(name);
    const parts = members?.map((member) => [...numbers(member, sizes.slice(1))]) ??
      [[...numbers(name, sizes)]];
    return [name, backend.upload({ dims: sizes, data: Float32Array.from(parts.flat()) })] as const;
  });
  const { prediction } = await session.run(Object.fromEntries(inputs), ["prediction"]);
  const result = await backend.download(prediction!);
  await backend.dispose();
  return result;
}

const STEPS = {
  "all run": evenStep({ kind: "run", keep: 1 }, 6),
  "all reused": evenStep({ kind: "reuse", keep: 0 }, 6),
  "some of both": trunkStep(
    [..."rr.r.r"].map((mark) => ({ kind: mark === "r" ? "reuse" : "run", keep: 0 })),
  ),
};

for (const [name, step] of Object.entries(STEPS)) {
  Deno.test(`a step of which ${name} is the same with fewer operators`, async () => {
    const { graph } = buildStep(TRANSFORMER, step);
    const fused = fuse(graph, ANY);
    const wanted = await run(graph, { offsets: new Map(), stacks: new Map() });
    const found = await run(fused.graph, fused);
    assertClose(found, wanted, { tolerance: 1e-5, what: name }); // a sum of six in another order
  });
}

Deno.test("sums and norms are one operator, and nobody adds 1 to a scale", () => {
  const { graph, offsets } = fuse(buildStep(TRANSFORMER, STEPS["all run"]).graph, ANY);
  const { Add, LayerNormalization, SkipLayerNormalization } = countOf(graph);
  assertEquals([LayerNormalization, SkipLayerNormalization], [undefined, 7]); // positions are a sum too
  assertEquals(Add, 7); // the shifts
  assertEquals(offsets.size, 7);
  assertEquals(graph.constants.filter(({ dims }) => `${dims}` === "1"), []); // the 1 itself is gone too
  assertEquals([...offsets.values()].every((offset) => offset === 1), true);
});

Deno.test("reused modules are merged as one, of inputs that hold all of them", () => {
  const { graph, stacks } = fuse(buildStep(TRANSFORMER, STEPS["all reused"]).graph, ANY);
  assertEquals(countOf(graph)["Einsum"], 1);
  assertEquals([...stacks.values()].map(({ length }) => length), [6, 6]);
  assertEquals(graph.inputs.filter(({ name }) => name.startsWith("feature")), []);
});

Deno.test("inputs that cannot be given as one are merged one by one", () => {
  const { graph, stacks } = fuse(buildStep(TRANSFORMER, STEPS["all reused"]).graph, {
    canStack: () => false,
  });
  assertEquals([countOf(graph)["Einsum"], stacks.size], [undefined, 0]);
});

Deno.test("a sum that is a result, or is read twice, is not lost in a stack", () => {
  const graph = new GraphBuilder("both");
  const x = graph.input("x", ["N", 2, 4]);
  const merge = (stream: typeof x, i: number): typeof x => {
    const product = operators.multiply(
      graph,
      graph.input(`g${i}`, ["N", 1, 4]),
      graph.input(`f${i}`, ["N", 2, 4]),
    );
    return operators.add(graph, stream, product);
  };
  const first = merge(x, 0);
  graph.output("first", first);
  graph.output("prediction", merge(first, 1));
  assertEquals(fuse(graph, ANY).stacks.size, 0);
});

Deno.test("a number that is added in one place only stays an operator", () => {
  const graph = new GraphBuilder("both");
  const [x, scale] = [graph.input("x", [1, 4]), graph.input("scale", [1, 4])];
  const more = operators.add(graph, scale, graph.constant([1], [1], "float32"));
  graph.output("prediction", operators.multiply(graph, operators.add(graph, x, scale), more));
  assertEquals(fuse(graph, ANY).offsets.size, 0);
});
