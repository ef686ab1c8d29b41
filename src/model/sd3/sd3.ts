/**
 * Stable Diffusion 3: a multimodal diffusion transformer whose positions are added to its patches.
 *
 * *Source:* Esser et al., arXiv 2403.03206; diffusers `SD3Transformer2DModel`, whose tensor names are used.
 *
 * @module
 */

import type { Node } from "../../onnx/graph.ts";
import * as operators from "../../onnx/operators.ts";
import { mixJointly, project, type ProjectionNames } from "../blocks/joint_attention.ts";
import { gatedModule, modulationGroup } from "../blocks/modulation.ts";
import { embedder, TIME_WIDTH, timeFeatures } from "../blocks/time_features.ts";
import { dense, feedForward, gatedAdd, modulatedNorm } from "../layers.ts";
import {
  type Conditioning,
  type Embedding,
  HEAD,
  type Head,
  type ModulationGroup,
  type Module,
  type Streams,
  type StreamShape,
  type Transformer,
} from "../module_graph.ts";
import type { Sd3Config } from "./config.ts";

const TEXT = "text.embedded";
/** Name of the text features `(N, M, W)`, from which the preparation makes the text stream. */
export const TEXT_FEATURES = "text.features";

interface Geometry extends Sd3Config {
  readonly width: number;
  /** Image tokens. */
  readonly T: number;
  /** Text tokens that costs are for. */
  readonly M: number;
}

/** The parts of a transformer of this configuration, with costs for so many text tokens. */
export function sd3(config: Sd3Config, M: number): Transformer {
  const T = (config.sampleSize / config.patchSize) ** 2;
  const geometry = { ...config, width: config.numHeads * config.headDim, T, M };
  const { width } = geometry;
  return {
    architecture: "sd3",
    streams: [...imageOnly(geometry), { name: "text", dims: ["N", "M", width] }],
    sizes: { M, [`M+${T}`]: M + T },
    embedding: patchEmbedding(geometry),
    modules: Array.from({ length: config.numLayers }, (_, i) => blockModules(geometry, i)).flat(),
    head: finalLayer(geometry),
    conditioning: timeAndText(geometry),
    preparation: {
      inputs: [{ name: TEXT_FEATURES, dims: ["N", "M", config.jointDim] }],
      build: (graph, inputs): Streams => ({
        [TEXT]: dense(graph, inputs[TEXT_FEATURES]!, "context_embedder", width), // its input
      }),
    },
  };
}

function imageOnly({ T, width }: Geometry): readonly StreamShape[] {
  return [{ name: "x", dims: ["N", T, width] }];
}

function patchEmbedding(geometry: Geometry): Embedding {
  const { sampleSize, patchSize: p, inChannels: c, width, T, positions } = geometry;
  const grid = sampleSize / p;
  const first = Math.floor((positions - grid) / 2);
  return {
    macs: T * c * p * p * width,
    latentDims: ["N", c, sampleSize, sampleSize],
    build(graph, latent): Streams {
      const cut = operators.reshape(graph, latent, ["N", c, grid, p, grid, p]);
      const patches = operators.transpose(graph, cut, [0, 2, 4, 1, 3, 5]); // (N, h, w, C, p, p)
      const rows = operators.reshape(graph, patches, ["N", T, c * p * p]);
      const stored = graph.parameter("pos_embed.pos_embed", [1, positions ** 2, width]);
      const all = operators.reshape(graph, stored, [1, positions, positions, width]);
      const some = operators.slice(graph, all, { axis: 1, first, count: grid });
      const middle = operators.slice(graph, some, { axis: 2, first, count: grid });
      const position = operators.reshape(graph, middle, [1, T, width]);
      const text = graph.sharedInput(TEXT, ["N", "M", width]);
      return {
        x: operators.add(graph, dense(graph, rows, "pos_embed.proj", width), position),
        text: operators.identity(graph, text),
      };
    },
  };
}

function isLast({ numLayers }: Geometry, block: number): boolean {
  return block === numLayers - 1;
}

function blockModules(geometry: Geometry, block: number): readonly Module[] {
  if (!isLast(geometry, block)) {
    return [joint(geometry, block), mlp(geometry, block, "x"), mlp(geometry, block, "text")];
  }
  const streams = imageOnly(geometry);
  return [{ ...joint(geometry, block), streams }, { ...mlp(geometry, block, "x"), streams }];
}

/** Attention of image and text; in the last block text is only looked at. */
function joint(geometry: Geometry, block: number): Module {
  const { width, T, M, numHeads: heads } = geometry;
  const name = `transformer_blocks.${block}.attn`;
  const last = isLast(geometry, block);
  const tokens = T + M;
  return {
    name,
    kinds: last ? ["attn"] : ["attn", "context_attn"],
    modulationRows: last ? 5 : 6,
    modulation: [{ name, rows: 3 }, { name: `${name}.context`, rows: last ? 2 : 3 }],
    featureDims: last ? [["N", T, width]] : [["N", T, width], ["N", "M", width]],
    macs: { branch: 4 * tokens * width ** 2 + 2 * tokens ** 2 * width, merge: tokens * width },
    branch(graph, streams, [shift, scale, , a, b]): Node[] {
      const [textShift, textScale] = last ? [b, a] : [a, b]; // a norm without a gate has its scale first
      const x = modulatedNorm(graph, streams["x"]!, shift!, scale!); // as declared, here and below
      const text = modulatedNorm(graph, streams["text"]!, textShift!, textScale!);
      const mixed = mixJointly(graph, {
        first: project(graph, text, namesUnder(name, CONTEXT), heads),
        second: project(graph, x, namesUnder(name, IMAGE), heads),
      }, { heads });
      const [ofText, ofImage] = operators.splitTokens(graph, mixed, { like: text, rest: T });
      const image = dense(graph, ofImage, `${name}.to_out.0`, width);
      return last ? [image] : [image, dense(graph, ofText, `${name}.to_add_out`, width)];
    },
    merge(graph, { x, text }, [, , gate, , , textGate], [feature, textFeature]): Streams {
      const merged = gatedAdd(graph, x!, gate!, feature!);
      if (last) return { x: merged };
      return { x: merged, text: gatedAdd(graph, text!, textGate!, textFeature!) };
    },
  };
}

const IMAGE: ProjectionNames = { linear: ["to_q", "to_k", "to_v"], norm: ["norm_q", "norm_k"] };
const CONTEXT: ProjectionNames = {
  linear: ["add_q_proj", "add_k_proj", "add_v_proj"],
  norm: ["norm_added_q", "norm_added_k"],
};

function namesUnder(
  prefix: string,
  { linear: [q, k, v], norm: [a, b] }: ProjectionNames,
): ProjectionNames {
  const under = (name: string): string => `${prefix}.${name}`;
  return { linear: [under(q), under(k), under(v)], norm: [under(a), under(b)] };
}

function mlp({ width, T, M }: Geometry, block: number, stream: "x" | "text"): Module {
  const [kind, weights] = stream === "x" ? ["ff", "ff"] : ["context_ff", "ff_context"];
  const [size, tokens] = stream === "x" ? [T, T] as const : ["M", M] as const;
  const prefix = `transformer_blocks.${block}`;
  const layers = [`${prefix}.${weights}.net.0.proj`, `${prefix}.${weights}.net.2`] as const;
  return gatedModule({
    name: `${prefix}.${kind}`,
    kind,
    stream,
    dims: ["N", size, width],
    macs: { branch: 8 * tokens * width ** 2, merge: tokens * width },
  }, (graph, x) => feedForward(graph, x, layers, 4 * width));
}

function finalLayer({ sampleSize, patchSize: p, inChannels: c, width, T }: Geometry): Head {
  const grid = sampleSize / p;
  return {
    macs: T * width * p * p * c,
    modulationRows: 2,
    reads: ["x"],
    build(graph, streams, [scale, shift]): Node {
      const x = modulatedNorm(graph, streams["x"]!, shift!, scale!); // two rows were declared
      const patches = dense(graph, x, "proj_out", p * p * c);
      const cut = operators.reshape(graph, patches, ["N", grid, grid, p, p, c]);
      const image = operators.transpose(graph, cut, [0, 5, 1, 3, 2, 4]); // (N, C, h, p, w, p)
      return operators.reshape(graph, image, ["N", c, sampleSize, sampleSize]);
    },
  };
}

function timeAndText(geometry: Geometry): Conditioning {
  const { width, pooledDim } = geometry;
  const { fround } = Math;
  const layersOf = (name: string): readonly [string, string] => [
    `time_text_embed.${name}.linear_1`,
    `time_text_embed.${name}.linear_2`,
  ];
  return {
    width,
    timeWidth: TIME_WIDTH,
    timeFeatures: (sigma) => timeFeatures(fround(fround(sigma) * 1000)),
    vectorWidth: pooledDim,
    embed(graph, times, vectors): Node {
      const time = embedder(graph, times, layersOf("timestep_embedder"), width);
      const text = embedder(graph, vectors, layersOf("text_embedder"), width);
      return operators.silu(graph, operators.add(graph, time, text)); // every norm starts with it
    },
    groups: modulationGroups(geometry),
  };
}

function modulationGroups(geometry: Geometry): ModulationGroup[] {
  const { width, numLayers } = geometry;
  const layers = Array.from({ length: numLayers }, (_, block) => {
    const prefix = `transformer_blocks.${block}`;
    const context = { name: `${prefix}.attn.context`, rows: isLast(geometry, block) ? 2 : 3 };
    const mlps = isLast(geometry, block) ? [] : [{ name: `${prefix}.context_ff`, rows: 3 }];
    return [
      {
        weights: `${prefix}.norm1.linear`,
        parts: [{ name: `${prefix}.attn`, rows: 3 }, { name: `${prefix}.ff`, rows: 3 }],
      },
      { weights: `${prefix}.norm1_context.linear`, parts: [context, ...mlps] },
    ];
  }).flat();
  const head = { weights: "norm_out.linear", parts: [{ name: HEAD, rows: 2 }] };
  return [...layers, head].map((layer) => modulationGroup([layer], width));
}
