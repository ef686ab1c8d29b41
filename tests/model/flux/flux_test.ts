import { assert, assertEquals } from "@std/assert";
import { openEngine } from "../../../src/engine/engine.ts";
import { makeSampler } from "../../../src/sampler/solvers.ts";
import { buildSegment } from "../../../src/engine/segment/segment.ts";
import { fullStep, stepParts } from "../../../src/engine/segment/step_segments.ts";
import { flux } from "../../../src/model/flux/flux.ts";
import { type FluxConfig, parseFluxConfig } from "../../../src/model/flux/config.ts";
import { gridIds } from "../../../src/model/flux/embeddings.ts";
import { projectionShares } from "../../../src/model/flux/single.ts";
import { fluxTensors } from "../../../src/model/flux/tensors.ts";
import { GraphBuilder, type Node } from "../../../src/onnx/graph.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { assertClose } from "../../conformance/compare.ts";
import type { HostTensor } from "../../conformance/host_operators.ts";
import { hostFlux } from "./flux_host.ts";
import { fluxFiles, randomTensors, SMALL_FLUX } from "./small_flux.ts";

/** Two float32 sums of up to 40 products a layer, nine layers deep, against float64. */
const TOLERANCE = 1e-5;

interface Case {
  readonly name: string;
  readonly guidance: boolean;
  readonly grid: readonly [number, number];
  readonly textTokens: number;
  readonly batch: number;
}

const CASES: readonly Case[] = [
  { name: "a wide grid, one text token", guidance: true, grid: [2, 5], textTokens: 1, batch: 1 },
  {
    name: "a tall grid, two text tokens, batch 2",
    guidance: true,
    grid: [3, 1],
    textTokens: 2,
    batch: 2,
  },
  { name: "no guidance embedding", guidance: false, grid: [3, 2], textTokens: 4, batch: 2 },
];

for (const { name, guidance, grid, textTokens, batch } of CASES) {
  Deno.test(`a step of FLUX is the formulas' in float64: ${name}`, async () => {
    const config = { ...SMALL_FLUX, guidance_embeds: guidance };
    const tensors = randomTensors(config);
    const pipeline = await openEngine({ backend: "wasm", model: fluxFiles(config, tensors) });
    const tokens = grid[0] * grid[1];
    const noise = normalNoise([batch, tokens, config.in_channels], 100);
    const text = normalNoise([batch, textTokens, config.joint_attention_dim], 101);
    const pooled = normalNoise([batch, config.pooled_projection_dim], 102);
    const scale = guidance ? 2.5 : 1;
    // One step from sigma 0.5 to 0 moves the latent by half of the velocity.
    const { latents } = await pipeline.generate({
      noise,
      text,
      pooled,
      grid,
      guidance: scale,
      steps: 1,
      sigmas: [0.5],
    });
    const { times } = makeSampler(pipeline.model.sampler, { steps: 1, sigmas: [0.5], tokens });
    await pipeline.close();
    const velocity = hostFlux(config, (tensor) => exact(tensors.get(tensor)!), {
      latent: exact(noise),
      text: exact(text),
      pooled: exact(pooled),
      ids: exact(gridIds(grid, 3)),
      time: times[0]!,
      guidance: scale,
    });
    const ours = noise.data.map((x, i) => (x - latents.data[i]!) / times[0]!);
    assertClose({ dims: velocity.dims, data: ours }, velocity, {
      tolerance: TOLERANCE,
      what: name,
    });
  });
}

/** Every parameter of every graph of a model. */
function parametersOf(config: FluxConfig): readonly Node[] {
  const transformer = flux(config, { T: 6, M: 2 });
  const { conditioning, preparation } = transformer;
  const step = buildSegment(transformer, stepParts(fullStep(transformer.modules.length)));
  const embedding = new GraphBuilder("conditioning");
  const times = embedding.input("times", ["R", conditioning.timeWidth]);
  conditioning.embed(embedding, times, embedding.input("labels", ["R", conditioning.vectorWidth!]));
  const once = new GraphBuilder("preparation");
  const inputs = preparation!.inputs.map(({ name, dims }) => [name, once.input(name, dims)]);
  preparation!.build(once, Object.fromEntries(inputs));
  const groups = conditioning.groups.map((group) => {
    const graph = new GraphBuilder("group");
    group.build(graph, graph.input("conditioning", ["R", conditioning.width]));
    return graph;
  });
  return [step, embedding, once, ...groups].flatMap(({ parameters }) => parameters);
}

const SMALL = parseFluxConfig(SMALL_FLUX);
const SCHNELL = parseFluxConfig({ guidance_embeds: false });
for (
  const [name, config] of [
    ["a small FLUX", SMALL],
    ["FLUX.1-dev", parseFluxConfig({ guidance_embeds: true })],
    ["FLUX.1-schnell", SCHNELL],
    ["single blocks alone", { ...SMALL, numLayers: 0 }],
  ] as const
) {
  Deno.test(`the graphs of ${name} use every tensor of its state dict, each in one graph`, () => {
    const parameters = parametersOf(config);
    const shares = projectionShares(config);
    const split = new Set([...shares.values()].map(({ source }) => source));
    const wanted = [...fluxTensors(config)].filter(([tensor]) => !split.has(tensor));
    const whole = parameters.filter((node) => !shares.has(node.name));
    assertEquals(
      whole.map((node) => `${node.name} [${node.dims}]`).toSorted(),
      wanted.map(([tensor, dims]) => `${tensor} [${dims}]`).toSorted(),
    );
    const parts = parameters.map((node) => node.name).filter((part) => shares.has(part));
    assertEquals(parts.toSorted(), [...shares.keys()].toSorted());
  });
}

Deno.test("FLUX.1-dev has 57 blocks of five kinds of modules, in execution order", () => {
  const { modules, streams } = flux(parseFluxConfig({}), { T: 4096, M: 512 });
  assertEquals(modules.length, 19 * 3 + 38 * 2);
  assertEquals(modules.slice(0, 3).map(({ name }) => name), [
    "transformer_blocks.0.attn",
    "transformer_blocks.0.ff",
    "transformer_blocks.0.context_ff",
  ]);
  assertEquals(modules.at(-1)?.name, "single_transformer_blocks.37.mlp");
  assertEquals(streams.map(({ name }) => name), ["x", "text"]);
  const kinds = new Set(modules.map(({ name }) => name.replace(/\d+/, "*")));
  assertEquals(kinds.size, 5);
});

Deno.test("a single block keeps features as wide as its streams, and joint attention keeps two", () => {
  const { modules } = flux(parseFluxConfig({}), { T: 4096, M: 512 });
  assertEquals(modules[0]!.featureDims, [["N", "T", 3072], ["N", "M", 3072]]);
  for (const { featureDims } of modules.slice(-2)) {
    assertEquals(featureDims, [["N", "M+T", 3072]]);
  }
});

Deno.test("a reused single block of FLUX runs no projection: its graph has no matrix product", () => {
  const transformer = flux(SMALL, { T: 6, M: 2 });
  const reused = [3, 4].map((index) =>
    ({ kind: "module", index, action: "reuse", store: false }) as const
  );
  const graph = buildSegment(transformer, reused);
  assert(graph.operations.every(({ operator }) => operator !== "Gemm"));
  assertEquals(graph.parameters.map(({ name }) => name), [
    "single_transformer_blocks.0.proj_out.bias",
  ]);
});

function exact({ dims, data }: Tensor): HostTensor {
  return { dims, data: Float64Array.from(data) };
}
