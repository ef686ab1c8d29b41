/** Replays with fewer commands, against the run that was recorded: bit for bit. */
import { assertEquals } from "@std/assert";
import { openWebGpu } from "../../../../src/backend/webgpu.ts";
import type { Command } from "../../../../src/backend/gpu/command.ts";
import { leanCommands } from "../../../../src/backend/gpu/lean/commands.ts";
import { Buffers, Scratch } from "../../../../src/backend/gpu/memory.ts";
import { beginReadBack } from "../../../../src/backend/gpu/read_back.ts";
import { Recording } from "../../../../src/backend/gpu/recording.ts";
import { submit } from "../../../../src/backend/gpu/submit.ts";
import { fuse } from "../../../../src/onnx/fuse.ts";
import { type Dim, GraphBuilder, type Node } from "../../../../src/onnx/graph.ts";
import { encodeModel } from "../../../../src/onnx/model_proto.ts";
import * as operators from "../../../../src/onnx/operators.ts";
import { sizeOf } from "../../../../src/onnx/sizes.ts";
import { gatedAdd, modulatedNorm } from "../../../../src/model/layers.ts";
import { elementCount } from "../../../../src/tensor/tensor.ts";
import { normalNoise } from "../../../../src/tensor/random.ts";
import { requires } from "../../../_shim/requires.ts";

const needs = await requires("fewer commands of a replay", "webgpu");
const half = await requires("fewer commands of a replay in float16", "webgpu", "shader-f16");
const [FLOAT, HALF] = [1, 10]; // TensorProto.DataType
const [N, T] = [3, 5];

/** A graph under construction, for tokens of one width. */
interface Given {
  readonly graph: GraphBuilder;
  readonly width: number;
  /** `(N, T, D)`. */
  readonly tokens: (name: string) => Node;
  /** `(N, 1, D)`. */
  readonly vector: (name: string) => Node;
}

/** What is built, and how many dispatches its replay is, of how many. */
const CASES: Readonly<
  Record<string, readonly [build: (given: Given) => void, lean: number, all: number]>
> = {
  "a gated addition, its norm, scale and shift": [
    ({ graph, tokens, vector }) => {
      const sum = gatedAdd(graph, tokens("x"), vector("gate"), tokens("feature"));
      const y = modulatedNorm(graph, sum, vector("shift"), vector("scale"));
      graph.output("y", operators.add(graph, sum, operators.relu(graph, y)));
    },
    3,
    6,
  ],
  "a sum that somebody reads before its norm is shifted": [
    ({ graph, tokens, vector }) => {
      const sum = gatedAdd(graph, tokens("x"), vector("gate"), tokens("feature"));
      graph.output("y", modulatedNorm(graph, sum, vector("shift"), vector("scale")));
      graph.output("sum", operators.relu(graph, sum));
    },
    5,
    5,
  ],
  "a gated addition that nobody else reads": [
    ({ graph, tokens, vector }) => {
      const sum = gatedAdd(graph, tokens("x"), vector("gate"), tokens("feature"));
      graph.output("y", modulatedNorm(graph, sum, vector("shift"), vector("scale")));
    },
    1,
    4,
  ],
  "positions that are the same for each row": [
    ({ graph, width, tokens, vector }) => {
      const sum = operators.add(graph, tokens("x"), graph.input("position", [1, T, width]));
      graph.output("y", modulatedNorm(graph, sum, vector("shift"), vector("scale")));
    },
    1,
    3,
  ],
  "a norm without an addition": [
    ({ graph, tokens, vector }) => {
      graph.output("y", modulatedNorm(graph, tokens("x"), vector("shift"), vector("scale")));
    },
    1,
    3,
  ],
  "a product that somebody else reads": [
    ({ graph, tokens, vector }) => {
      const product = operators.multiply(graph, vector("gate"), tokens("feature"));
      const sum = operators.add(graph, tokens("x"), product);
      graph.output("y", modulatedNorm(graph, sum, vector("shift"), vector("scale")));
      graph.output("product", operators.relu(graph, product));
    },
    3,
    5,
  ],
  "a norm that somebody reads before it is scaled": [
    ({ graph, tokens, vector }) => {
      const normed = operators.layerNorm(graph, tokens("x"), 1e-6);
      const scaled = operators.multiply(graph, normed, vector("scale"));
      graph.output("y", operators.add(graph, scaled, vector("shift")));
      graph.output("normed", operators.relu(graph, normed));
    },
    4,
    4,
  ],
};

for (const [name, [build, lean, all]] of Object.entries(CASES)) {
  for (const width of [48, 256, 264, 768]) {
    Deno.test(`${name}, ${width} wide, is ${lean} dispatches of ${all}`, needs, async () => {
      await compare(graphOf(width, build), { lean, all });
    });
  }
}

for (const width of [48, 264]) {
  Deno.test(
    `casts around a norm that is ${width} wide are part of its dispatch`,
    half,
    async () => {
      const graph = graphOf(width, ({ graph, tokens, vector }) => {
        const feature = cast(
          graph,
          operators.relu(graph, cast(graph, tokens("feature"), HALF)),
          FLOAT,
        );
        const sum = gatedAdd(graph, tokens("x"), vector("gate"), feature);
        const y = modulatedNorm(graph, sum, vector("shift"), vector("scale"));
        graph.output("y", cast(graph, operators.relu(graph, cast(graph, y, HALF)), FLOAT));
      });
      await compare(graph, { lean: 5, all: 10 });
    },
  );
}

function cast(graph: GraphBuilder, x: Node, to: number): Node {
  const type = to === HALF ? "float16" : "float32";
  return graph.apply("Cast", [x], x.dims, { attributes: { to }, type });
}

function graphOf(width: number, build: (given: Given) => void): GraphBuilder {
  const graph = new GraphBuilder("chain");
  build({
    graph,
    width,
    tokens: (name) => graph.sharedInput(name, ["N", T, width]),
    vector: (name) => graph.sharedInput(name, ["N", 1, width]),
  });
  return graph;
}

/** Runs and records a graph, replays fewer commands, and compares every bit of its results. */
async function compare(
  built: GraphBuilder,
  wanted: { readonly lean: number; readonly all: number },
): Promise<void> {
  const { graph } = fuse(built, { canStack: () => false, sizes: { N } });
  const backend = await openWebGpu();
  const { device, recorder, value } = backend.gpu!; // webgpu has one
  const buffers = new Buffers(device);
  const dims = (named: readonly Dim[]): number[] => named.map((size) => sizeOf(size, { N }));
  const inputs = Object.fromEntries(
    graph.inputs.map(({ name, dims: named }, seed) =>
      [name, backend.upload(normalNoise(dims(named), seed))] as const
    ),
  );
  const places = graph.outputs.map(({ node }) => buffers.make(4 * elementCount(dims(node.dims))));
  const into = Object.fromEntries(
    graph.outputs.map(({ name, node }, i) =>
      [name, value(places[i]!.buffer, dims(node.dims))] as const
    ),
  );
  const session = await backend.load(encodeModel(graph));
  let commands: readonly Command[] = [];
  const names = graph.outputs.map(({ name }) => name);
  for (let run = 0; run < 2; run++) { // the first compiles
    await session.run(inputs, names, {
      into,
      within: async (task) => void (commands = await recorder.record(task, { sound: "heard" })),
    });
  }
  const ran = await beginReadBack(device, places).read();
  const kept = new Map(places.map((place) => [place.buffer, place]));
  const lean = leanCommands(device, commands, new Set(kept.keys()));
  assertEquals(dispatchesOf(commands), wanted.all);
  assertEquals(dispatchesOf(lean), wanted.lean);
  const recording = new Recording(device, lean, { places: kept, scratch: new Scratch(buffers) });
  submit(device, (encoder) => {
    for (const { buffer } of places) encoder.clearBuffer(buffer);
    recording.encode(encoder);
  });
  const replayed = await beginReadBack(device, places).read();
  for (const [i, bytes] of replayed.entries()) {
    const [found, expected] = [bytes, ran[i]!].map((each) => new Uint32Array(each));
    assertEquals(found!.findIndex((bits, at) => bits !== expected![at]), -1, names[i]);
  }
  recording.dispose();
  for (const each of [...Object.values(inputs), ...Object.values(into)]) each.dispose();
  buffers.dispose();
  await session.dispose();
  await backend.dispose();
}

function dispatchesOf(commands: readonly Command[]): number {
  return commands.filter(({ kind }) => kind === "dispatch").length;
}
