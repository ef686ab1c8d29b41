/** Products in float16: which casts are left, and what they change. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { openWasm } from "../../src/backend/wasm.ts";
import { buildStep } from "../../src/engine/device/step_graph.ts";
import { evenStep } from "../../src/engine/segment/step_segments.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { dit } from "../../src/model/dit/dit.ts";
import type { Transformer } from "../../src/model/module_graph.ts";
import { fuse } from "../../src/onnx/fuse.ts";
import { type Graph, GraphBuilder, type Node, type Operation } from "../../src/onnx/graph.ts";
import { halfProducts, keepHalf } from "../../src/onnx/half_products.ts";
import { linearLayer } from "../../src/onnx/linear.ts";
import { encodeModel, type WeightNumbers } from "../../src/onnx/model_proto.ts";
import * as operators from "../../src/onnx/operators.ts";
import { encodeFloat16 } from "../../src/tensor/half.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { relativeError } from "../conformance/compare.ts";

const CAST = "Cast";
const [TOKENS, WIDTH] = [6, 16];

function countOf({ operations }: Graph, operator: string): number {
  return operations.filter((operation) => operation.operator === operator).length;
}

/** Operators that read float32 and float16 at once, which no runtime takes. */
function mixed(graph: Graph): readonly Operation[] {
  const nodes = [...graph.inputs, ...graph.parameters, ...graph.constants, ...graph.values];
  const types = new Map(nodes.map(({ name, type }) => [name, type]));
  return graph.operations.filter(({ operator, inputs }) => {
    const read = new Set(inputs.map((name) => types.get(name)));
    return operator !== CAST && read.has("float32") && read.has("float16");
  });
}

function stepOf(transformer: Transformer): Graph {
  const step = evenStep({ kind: "run", keep: 1 }, transformer.modules.length);
  return fuse(buildStep(transformer, step, halfProducts).graph, { canStack: () => true }).graph;
}

Deno.test("a module of DiT rounds what its norm gives and widens its feature, and casts nothing else", () => {
  const config = { input_size: 8, hidden_size: 48, depth: 3, num_heads: 4, num_classes: 7 };
  const transformer = dit(parseDitConfig(config));
  const graph = keepHalf(stepOf(transformer));
  assertEquals(countOf(graph, CAST), 2 * transformer.modules.length);
  assertEquals(mixed(graph), []);
});

Deno.test("a value that is a result of the graph, and read in both types, is widened once", () => {
  const graph = new GraphBuilder("both");
  const x = graph.input("x", ["N", WIDTH]);
  const layer = (of: Node, weight: string): Node => halfProducts(graph, of, { weight, out: WIDTH });
  const first = layer(x, "a");
  const second = layer(operators.geluTanh(graph, first), "b");
  graph.output("first", first);
  graph.output("sum", operators.add(graph, operators.add(graph, first, second), x));
  const kept = keepHalf(graph);
  assertEquals(countOf(kept, CAST), 3); // x, first, second
  assertEquals(kept.outputs, graph.outputs);
  assertEquals(mixed(kept), []);
});

Deno.test("a scale that only a norm in float16 reads is float16 itself, any other is cast", () => {
  const graph = new GraphBuilder("norm");
  const scales = ["own", "both"].map((name) => graph.parameter(name, [WIDTH]));
  const layer = halfProducts(graph, graph.input("x", ["N", WIDTH]), { weight: "w", out: WIDTH });
  const normed = scales.map((scale) => operators.rmsNorm(graph, layer, { scale, epsilon: 1e-6 }));
  const product = operators.multiply(graph, normed[1]!, scales[1]!);
  graph.output("y", operators.add(graph, normed[0]!, product));
  const kept = keepHalf(graph);
  const types = kept.parameters.map(({ name, type }) => [name, type]);
  assertEquals(types, [["own", "float16"], ["both", "float32"], ["w", "float16"]]);
  assertEquals(mixed(kept), []);
  assertEquals(countOf(kept, CAST), 4); // x, the scale that both read, two results
});

Deno.test("a graph without float16 stays as it is", () => {
  const graph = new GraphBuilder("float32");
  const x = graph.input("x", ["N", TOKENS, WIDTH]);
  const [q, k] = operators.splitLast(graph, linearLayer(graph, x, { weight: "w", out: 32 }), 2);
  graph.output("y", operators.attention(graph, [q!, k!, k!], 2));
  assertEquals(keepHalf(graph).operations, graph.operations);
});

/** What may follow one another: each keeps `(N, tokens, WIDTH)`. */
const LINKS = {
  layer: (graph, x, i) => linearLayer(graph, x, { weight: `w${i}`, bias: `b${i}`, out: WIDTH }),
  gelu: operators.geluTanh,
  norm: (graph, x) => operators.layerNorm(graph, x, 1e-6),
  rms: (graph, x, i) => {
    const scale = graph.parameter(`s${i}`, [WIDTH]);
    return operators.rmsNorm(graph, x, { scale, epsilon: 1e-6 });
  },
  rotation: (graph, x) => {
    const shape = [TOKENS, WIDTH / 4];
    const [cos, sin] = [graph.sharedInput("cos", shape), graph.sharedInput("sin", shape)];
    return operators.rotatePairs(graph, x, { cos, sin });
  },
  attention: (graph, x) => operators.attention(graph, [x, x, x], 2),
  shape: (graph, x) => {
    const flat = operators.reshape(graph, x, ["N", TOKENS, 2, WIDTH / 2]);
    return operators.reshape(graph, flat, ["N", TOKENS, WIDTH]);
  },
  halves: (graph, x) => operators.concat(graph, operators.splitLast(graph, x, 2).toReversed(), 2),
  more: (graph, x) => operators.add(graph, x, x),
} as const satisfies Record<string, (graph: GraphBuilder, x: Node, i: number) => Node>;

function chainOf(links: readonly (keyof typeof LINKS)[], half: boolean): GraphBuilder {
  const graph = new GraphBuilder("chain");
  const x = graph.input("x", ["N", TOKENS, WIDTH]);
  graph.lowered(half ? halfProducts : undefined, () => {
    let node = operators.add(graph, x, x);
    links.forEach((link, i) => {
      node = LINKS[link](graph, node, i);
      if (i % 3 === 1) graph.output(`inner.${i}`, node);
    });
    graph.output("y", operators.identity(graph, node));
  });
  return graph;
}

Deno.test("any chain of operators gives what it gives in float32, to the rounding of float16", async () => {
  const backend = await openWasm({ threads: 1 });
  const run = async (graph: Graph): Promise<Tensor> => {
    const weights = new Map<string, WeightNumbers>(graph.parameters.map(({ name, dims, type }) => {
      const noise = normalNoise(dims.map(Number), name.charCodeAt(1));
      const numbers = noise.data.map((number) => number / Math.sqrt(WIDTH));
      if (type === "float32") return [name, numbers];
      return [name, new Uint16Array(encodeFloat16(numbers).buffer)];
    }));
    const session = await backend.load(encodeModel(graph, { weights }));
    const x = backend.upload(normalNoise([2, TOKENS, WIDTH], 5));
    const cos = backend.upload(normalNoise([TOKENS, WIDTH / 4], 6));
    const sin = backend.upload(normalNoise([TOKENS, WIDTH / 4], 7));
    const { y } = await session.run({ x, cos, sin }, ["y"]);
    const result = await backend.download(y!);
    for (const value of [x, cos, sin, y!, session]) await value.dispose();
    return result;
  };
  const names = Object.keys(LINKS) as (keyof typeof LINKS)[]; // of a constant
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 8 }),
      async (links) => {
        const kept = keepHalf(chainOf(links, true));
        assertEquals(mixed(kept), []);
        const casts = kept.operations.filter(({ operator }) => operator === CAST);
        assertEquals(new Set(casts.map(({ inputs }) => inputs[0])).size, casts.length); // none twice
        const [wanted, found] = [await run(chainOf(links, false)), await run(kept)];
        // Eight roundings of 2^-11 at most, which a norm or a softmax may enlarge.
        assert(
          relativeError(found.data, wanted.data) < 0.02,
          `${links}: ${relativeError(found.data, wanted.data)}`,
        );
      },
    ),
    { numRuns: 30, seed: 7 },
  );
  await backend.dispose();
});
