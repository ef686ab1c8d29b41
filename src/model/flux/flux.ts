/**
 * FLUX: the multimodal diffusion transformer. Dual blocks give image and text weights of their own and
 * join them in attention; single blocks run one set of weights over both.
 *
 * N batch, T image tokens, M text tokens, S = M + T, D width, C numbers of a packed latent token. Times
 * are sigmas, 0 … 1. Text comes first where both are joined.
 *
 * *Source:* black-forest-labs/flux; diffusers `FluxTransformer2DModel`, whose tensor names are used.
 */

import type { Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { embedder, TIME_WIDTH } from "../blocks/time_features.ts";
import { modulationGroups, type ModulationLayer } from "../blocks/modulation.ts";
import { contextPart, dualModules } from "./dual.ts";
import { type FluxConfig, type FluxSizes, fluxWidth } from "./config.ts";
import { scaledTimeFeatures } from "./embeddings.ts";
import { singleModules } from "./single.ts";
import { dense, modulatedNorm } from "../layers.ts";
import {
  type Conditioning,
  type Embedding,
  type Head,
  HEAD_MODULATION,
  type ModulationPart,
  type Preparation,
  type Streams,
  type StreamShape,
  type Transformer,
} from "../module_graph.ts";

/** Name of the constant that holds the text stream as it enters the first block, `(N, M, D)`. */
const TEXT = "text.embedded";
/** Name of the text features `(N, M, W)`, from which the preparation makes it. */
export const TEXT_FEATURES = "text.features";

/** The parts of a FLUX transformer of this configuration, with costs at these sizes. */
export function flux(config: FluxConfig, sizes: FluxSizes): Transformer {
  const width = fluxWidth(config);
  const streams: readonly StreamShape[] = [
    { name: "x", dims: ["N", "T", width] },
    { name: "text", dims: ["N", "M", width] },
  ];
  const geometry = { ...config, sizes, streams };
  return {
    architecture: "flux",
    streams,
    sizes: { ...sizes, "M+T": sizes.M + sizes.T },
    embedding: packedEmbedding(config, sizes),
    modules: [
      ...Array.from({ length: config.numLayers }, (_, block) => dualModules(geometry, block)),
      ...Array.from({ length: config.numSingleLayers }, (_, b) => singleModules(geometry, b)),
    ].flat(),
    head: projectionHead(config, sizes),
    conditioning: timeGuidanceAndText(config),
    preparation: textEmbedding(config),
  };
}

function packedEmbedding(config: FluxConfig, { T }: FluxSizes): Embedding {
  const width = fluxWidth(config);
  return {
    macs: T * config.inChannels * width,
    latentDims: ["N", "T", config.inChannels],
    build(graph, latent): Streams {
      const text = graph.sharedInput(TEXT, ["N", "M", width]);
      return {
        x: dense(graph, latent, "x_embedder", width),
        text: operators.identity(graph, text),
      };
    },
  };
}

function textEmbedding(config: FluxConfig): Preparation {
  return {
    inputs: [{ name: TEXT_FEATURES, dims: ["N", "M", config.jointDim] }],
    outputs: [TEXT],
    build: (graph, inputs): Streams => ({
      [TEXT]: dense(graph, inputs[TEXT_FEATURES]!, "context_embedder", fluxWidth(config)),
    }),
  };
}

function projectionHead(config: FluxConfig, { T }: FluxSizes): Head {
  return {
    macs: T * fluxWidth(config) * config.inChannels,
    modulationRows: 2,
    reads: ["x"],
    build(graph, streams, [scale, shift]): Node {
      const x = modulatedNorm(graph, streams["x"]!, shift!, scale!); // two rows were declared
      return dense(graph, x, "proj_out", config.inChannels);
    },
  };
}

function timeGuidanceAndText(config: FluxConfig): Conditioning {
  const width = fluxWidth(config);
  const { pooledDim, guidanceEmbeds } = config;
  return {
    width,
    timeWidth: TIME_WIDTH,
    timeFeatures: ({ time }) => scaledTimeFeatures(time),
    vectorWidth: pooledDim + (guidanceEmbeds ? TIME_WIDTH : 0),
    embed(graph, times, vectors): Node {
      const cut = (first: number, count: number): Node =>
        operators.slice(graph, vectors, { axis: 1, first, count });
      const embedded = (features: Node, name: string): Node =>
        embedder(graph, features, layersOf(name), width);
      let sum = embedded(times, "timestep_embedder");
      if (guidanceEmbeds) {
        const guidance = embedded(cut(pooledDim, TIME_WIDTH), "guidance_embedder");
        sum = operators.add(graph, sum, guidance);
      }
      const pooled = embedded(cut(0, pooledDim), "text_embedder");
      return operators.silu(graph, operators.add(graph, sum, pooled)); // every norm starts with it
    },
    groups: modulationGroups(modulationLayers(config), width),
  };
}

function layersOf(name: string): readonly [string, string] {
  return [`time_text_embed.${name}.linear_1`, `time_text_embed.${name}.linear_2`];
}

function modulationLayers({ numLayers, numSingleLayers }: FluxConfig): readonly ModulationLayer[] {
  const dual = Array.from({ length: numLayers }, (_, block) => dualLayers(block)).flat();
  const single = Array.from({ length: numSingleLayers }, (_, block) => {
    const prefix = `single_transformer_blocks.${block}`;
    return { weights: `${prefix}.norm.linear`, parts: [{ name: prefix, rows: 3 }] };
  });
  return [...dual, ...single, {
    weights: "norm_out.linear",
    parts: [{ name: HEAD_MODULATION, rows: 2 }],
  }];
}

function dualLayers(block: number): readonly ModulationLayer[] {
  const prefix = `transformer_blocks.${block}`;
  const attention = `${prefix}.attn`;
  const parts = (attn: string, mlp: string): readonly ModulationPart[] => [
    { name: attn, rows: 3 },
    { name: `${prefix}.${mlp}`, rows: 3 },
  ];
  return [
    { weights: `${prefix}.norm1.linear`, parts: parts(attention, "ff") },
    {
      weights: `${prefix}.norm1_context.linear`,
      parts: parts(contextPart(attention), "context_ff"),
    },
  ];
}
