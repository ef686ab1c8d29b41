import { assertEquals } from "@std/assert";
import { buildSegment } from "../../../src/engine/segment/segment.ts";
import { fullStep, stepParts } from "../../../src/engine/segment/step_segments.ts";
import { dit, ditTensors } from "../../../src/model/dit/dit.ts";
import { type DitConfig, parseDitConfig } from "../../../src/model/dit/config.ts";
import { GraphBuilder, type Node } from "../../../src/onnx/graph.ts";

/** Sizes that differ from each other wherever they may. */
const SMALL = parseDitConfig({
  input_size: 6,
  patch_size: 2,
  in_channels: 3,
  hidden_size: 24,
  depth: 2,
  num_heads: 2,
  mlp_ratio: 3,
  num_classes: 5,
  learn_sigma: false,
});

/** Every parameter of every graph of a model. */
function parametersOf(config: DitConfig): readonly Node[] {
  const transformer = dit(config);
  const { conditioning } = transformer;
  const step = buildSegment(transformer, stepParts(fullStep(transformer.modules.length)));
  const embedding = new GraphBuilder("conditioning");
  const times = embedding.input("times", ["R", conditioning.timeWidth]);
  conditioning.embed(embedding, times, embedding.input("labels", ["R"]));
  const groups = conditioning.groups.map((group) => {
    const graph = new GraphBuilder("group");
    group.build(graph, graph.input("conditioning", ["R", conditioning.width]));
    return graph;
  });
  return [step, embedding, ...groups].flatMap(({ parameters }) => parameters);
}

for (const [name, config] of [["a small DiT", SMALL], ["DiT-XL/2", parseDitConfig({})]] as const) {
  Deno.test(`the graphs of ${name} use every tensor of its state dict, each in one graph`, () => {
    const parameters = parametersOf(config);
    const wanted = [...ditTensors(config).keys(), "pos_embed"];
    assertEquals(parameters.map((node) => node.name).toSorted(), wanted.toSorted());
  });

  Deno.test(`the graphs of ${name} take as many numbers from each tensor as it has`, () => {
    const shapes = ditTensors(config);
    const count = (dims: readonly unknown[]): number =>
      dims.reduce<number>((product, size) => product * Number(size), 1);
    for (const { name, dims } of parametersOf(config)) {
      // The patch convolution (D, C, p, p) is a matrix product with the same numbers: (D, C·p·p).
      const stored = shapes.get(name) ?? dims; // pos_embed is not in the list
      assertEquals(count(dims), count(stored), name);
      if (name !== "x_embedder.proj.weight") assertEquals([...dims], [...stored], name);
    }
  });
}

Deno.test("a DiT has an attention and an MLP module in every block, in execution order", () => {
  const { modules, streams, architecture } = dit(SMALL);
  assertEquals(architecture, "dit");
  assertEquals(modules.map(({ name }) => name), [
    "blocks.0.attn",
    "blocks.0.mlp",
    "blocks.1.attn",
    "blocks.1.mlp",
  ]);
  assertEquals(streams, [{ name: "x", dims: ["N", 9, 24] }]);
  for (const { featureDims, modulationRows } of modules) {
    assertEquals([featureDims, modulationRows], [[["N", 9, 24]], 3]);
  }
});

Deno.test("a model that learned no variance predicts as many channels as the latent has", () => {
  const { head } = dit(SMALL);
  const graph = new GraphBuilder("head");
  const rows = [0, 1].map((i) => graph.input(`row.${i}`, ["N", 1, 24]));
  const prediction = head.build(graph, { x: graph.input("x", ["N", 9, 24]) }, rows);
  assertEquals(prediction.dims, ["N", 3, 6, 6]);
});

Deno.test("multiply-accumulates of DiT-XL/2 add up to the published 118.6 Gflops", () => {
  const { embedding, modules, head, conditioning } = dit(parseDitConfig({}));
  const trunk = modules.reduce((sum, { macs }) => sum + macs.branch + macs.merge, 0);
  const modulation = conditioning.groups.reduce((sum, { weightBytes }) => sum + weightBytes / 4, 0);
  const gmacs = (embedding.macs + trunk + head.macs + modulation) / 1e9;
  // Table 4 of arXiv 2212.09748; "Gflops" there are multiply-accumulates, counted without norms and softmax.
  assertEquals(Math.abs(gmacs - 118.6) < 0.3, true, `${gmacs}`);
});
