/**
 * DiT: the class-conditional diffusion transformer with adaLN-zero blocks.
 *
 * Tensor names and arithmetic follow the original. N batch, T tokens, D width, p patch, C channels.
 *
 * *Source:* Peebles & Xie, arXiv 2212.09748; facebookresearch/DiT `models.py`.
 */

import type { Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { blocksOf, type DitConfig } from "./config.ts";
import {
  type GatedModule,
  gatedModule,
  modulationGroups,
  type ModulationLayer,
} from "../blocks/modulation.ts";
import { TIME_WIDTH, timeFeatures } from "../blocks/time_features.ts";
import { timeAndLabel } from "./embeddings.ts";
import { inGroups } from "./groups.ts";
import { dense, feedForward, modulatedNorm, selfAttention } from "../layers.ts";
import {
  type Conditioning,
  type Embedding,
  type Head,
  HEAD_MODULATION,
  type Module,
  type Streams,
  type Transformer,
} from "../module_graph.ts";
import { checkTensors, type TensorShapes } from "../../assets/tensor_shapes.ts";
import { tensorsOf } from "../tensors_of.ts";

/** The parts of a DiT of this configuration. */
export function dit(config: DitConfig): Transformer {
  return config.depthGroup === undefined ? plainDit(config) : inGroups(plainDit(config), config);
}

function plainDit(config: DitConfig): Transformer {
  const tokens = (config.inputSize / config.patchSize) ** 2;
  return {
    architecture: "dit",
    streams: [{ name: "x", dims: ["N", tokens, config.hiddenSize] }],
    embedding: patchEmbedding(config, tokens),
    modules: Array.from({ length: blocksOf(config) }, (_, block) => [
      attentionModule(config, tokens, block),
      mlpModule(config, tokens, block),
    ]).flat(),
    head: finalLayer(config, tokens),
    conditioning: conditioning(config),
  };
}

function patchEmbedding(config: DitConfig, tokens: number): Embedding {
  const { inputSize, patchSize: p, inChannels: c, hiddenSize: width } = config;
  const grid = inputSize / p;
  const patch = c * p * p;
  return {
    macs: tokens * patch * width,
    latentDims: ["N", c, inputSize, inputSize],
    build(graph, latent): Streams {
      const cut = operators.reshape(graph, latent, ["N", c, grid, p, grid, p]);
      const patches = operators.transpose(graph, cut, [0, 2, 4, 1, 3, 5]); // (N, h, w, C, p, p)
      const rows = operators.reshape(graph, patches, ["N", tokens, patch]);
      const x = dense(graph, rows, "x_embedder.proj", width); // (N, T, D)
      const position = graph.parameter("pos_embed", [1, tokens, width]);
      return { x: operators.add(graph, x, position) };
    },
  };
}

function attentionModule(config: DitConfig, tokens: number, block: number): Module {
  const { hiddenSize: width, numHeads: heads, depthGroup } = config;
  const name = `blocks.${block}.attn`;
  const scale = depthGroup === undefined ? undefined : (width / heads) ** -0.5; // 1/d of products in all
  const branch = 4 * tokens * width ** 2 + 2 * tokens ** 2 * width;
  return gatedModule(
    { ...partsOf(tokens, width, branch), name, kind: "attn" },
    (graph, x, { onAttention }) => selfAttention(graph, x, name, { heads, scale, onAttention }),
  );
}

function mlpModule(config: DitConfig, tokens: number, block: number): Module {
  const { hiddenSize: width, mlpRatio } = config;
  const name = `blocks.${block}.mlp`;
  const hidden = Math.trunc(width * mlpRatio);
  const own = { attention: `blocks.${block}.attn`, picture: 0 };
  return gatedModule(
    { ...partsOf(tokens, width, 2 * tokens * width * hidden), name, kind: "mlp", tokens: own },
    (graph, x) => feedForward(graph, x, [`${name}.fc1`, `${name}.fc2`], hidden),
  );
}

/** What attention and MLP share: both change the only stream. */
function partsOf(
  tokens: number,
  width: number,
  branch: number,
): Pick<GatedModule, "stream" | "dims" | "macs"> {
  return {
    stream: "x",
    dims: ["N", tokens, width],
    macs: { branch, merge: tokens * width },
  };
}

function finalLayer(config: DitConfig, tokens: number): Head {
  const { inputSize, patchSize: p, hiddenSize: width } = config;
  const c = config.inChannels * (config.learnSigma ? 2 : 1);
  const grid = inputSize / p;
  return {
    macs: tokens * width * p * p * c,
    modulationRows: 2,
    build(graph, streams, [shift, scale]): Node {
      const x = modulatedNorm(graph, streams["x"]!, shift!, scale!); // two rows were declared
      const patches = dense(graph, x, "final_layer.linear", p * p * c); // (N, T, p·p·C)
      const cut = operators.reshape(graph, patches, ["N", grid, grid, p, p, c]);
      const image = operators.transpose(graph, cut, [0, 5, 1, 3, 2, 4]); // (N, C, h, p, w, p)
      return operators.reshape(graph, image, ["N", c, inputSize, inputSize]);
    },
  };
}

function conditioning(config: DitConfig): Conditioning {
  const width = config.hiddenSize;
  const half = TIME_WIDTH / 2;
  const divisor = config.timestepFrequencyDivisor === undefined ? half : half - 1;
  return {
    width,
    timeWidth: TIME_WIDTH,
    timeFeatures: ({ time }) => timeFeatures(time, divisor),
    // Every adaLN_modulation starts with this SiLU.
    embed: (graph, times, labels) =>
      operators.silu(graph, timeAndLabel(graph, config, { times, labels })),
    groups: layersOf(config).flatMap((layers) => modulationGroups(layers, width)),
  };
}

/** Layers whose vectors may be computed in one graph: all of them, or those of blocks and then the head's. */
function layersOf(config: DitConfig): readonly (readonly ModulationLayer[])[] {
  const blocks = Array.from({ length: blocksOf(config) }, (_, block) => ({
    weights: `blocks.${block}.adaLN_modulation.1`,
    parts: [{ name: `blocks.${block}.attn`, rows: 3 }, { name: `blocks.${block}.mlp`, rows: 3 }],
  }));
  const head = {
    weights: "final_layer.adaLN_modulation.1",
    parts: [{ name: HEAD_MODULATION, rows: 2 }],
  };
  return config.depthGroup === undefined ? [[...blocks, head]] : [blocks, [head]];
}

/** Every tensor that an official state dict of this configuration has, but the optional `pos_embed`. */
export function ditTensors(config: DitConfig): ReadonlyMap<string, readonly number[]> {
  const { hiddenSize, inChannels, patchSize: p } = config;
  const tensors = tensorsOf(dit(config));
  tensors.delete("pos_embed");
  // A convolution there, a linear layer here.
  return tensors.set("x_embedder.proj.weight", [hiddenSize, inChannels, p, p]);
}

/**
 * Proves that the tensors are those of the configuration.
 *
 * @returns Their names, but the optional one.
 * @throws {AssetError} Naming the first missing, extra or mis-shaped tensor.
 */
export function checkDitTensors(config: DitConfig, shapes: TensorShapes): readonly string[] {
  const tensors = new Map(ditTensors(config));
  const names = [...tensors.keys()];
  const tokens = (config.inputSize / config.patchSize) ** 2;
  if (shapes.names.has("pos_embed")) tensors.set("pos_embed", [1, tokens, config.hiddenSize]);
  checkTensors(tensors, shapes, "a DiT");
  return names;
}
