/**
 * The decoder of an autoencoder, which turns a diffusion model's latents into pictures, cut into graphs.
 *
 * Each graph takes a picture `x` `(1, C, H, W)` of any size to `y`, one residual layer at most, so that little
 * memory is used at a time and a caller can stop between them. The middle, at the latent's size, is up to three
 * graphs: attention over all pixels has its own and can be run for some queries at a time.
 *
 * *Source:* diffusers `autoencoders/vae.py` `Decoder` and `autoencoder_kl.py`.
 */

import type { Weights } from "../../assets/weights.ts";
import { GraphBuilder, type Node } from "../../onnx/graph.ts";
import { attention, silu } from "../../onnx/operators.ts";
import { checkTensors, type TensorShapes } from "../tensor_shapes.ts";
import * as blocks from "./blocks.ts";
import { parseVaeConfig, type VaeConfig } from "./config.ts";

/** The middle: before attention, attention, and after it. */
export interface MiddleGraphs {
  /** `x` to `y`, and to `q`, `k` and `v` `(1, H·W, C)` where there is attention. */
  readonly before: GraphBuilder;
  /** `q` of any number of pixels, `k` and `v` of all to `y`, shaped as `q`; absent = none. */
  readonly attention?: GraphBuilder;
  /** `x`, and `mixed` `(1, H·W, C)` where there is attention, to `y`; absent = nothing is left to do. */
  readonly after?: GraphBuilder;
}

/**
 * One step of the decoder, with at most one 3 × 3 convolution, from `x` to `y`; a norm comes first, and
 * can be given statistics ({@link blocks.partNorm}).
 *
 * - `enter`: the first part of a residual layer. Where channels change it has a second output `skip`;
 *   where not, `x` itself is the shortcut.
 * - `within`: another part of it, which the shortcut bypasses.
 * - `leave`: the last part, with a second input `skip`.
 * - `double`: twice the size.
 * - `last`: to the picture.
 */
export interface UpStep {
  readonly kind: "enter" | "within" | "leave" | "double" | "last";
  readonly graph: GraphBuilder;
}

/** An autoencoder as its graphs; weights are not among them. */
export interface Vae {
  readonly latentChannels: number;
  /** Pixels of a picture's side for each of its latent's. */
  readonly scale: number;
  /** A diffusion model's latent is `(latent − shiftFactor)·scalingFactor`. */
  readonly scalingFactor: number;
  /** See {@link Vae.scalingFactor}; 0 where there is none. */
  readonly shiftFactor: number;
  /** The first graphs, at the latent's size. */
  readonly middle: MiddleGraphs;
  /** From there to the picture; norms can be given statistics. */
  readonly up: readonly UpStep[];
  /** Receptive radius of a picture's pixel, in latent pixels after the middle, ignoring norms. */
  readonly reach: number;
}

/**
 * Describes a diffusers `AutoencoderKL`.
 *
 * @param config Its `config.json`.
 * @throws {AssetError} When the configuration asks for what we do not compute, or the tensors do not fit it.
 */
export function openVae(config: unknown, weights: Weights): Vae {
  const parsed = parseVaeConfig(config);
  const names = weights.names.has(`decoder.${ATTENTION}.query.weight`)
    ? blocks.ATTENTION_NAMES.before
    : blocks.ATTENTION_NAMES.now;
  const vae = describeVae(parsed, names);
  checkDecoder(vae, weights, "an AutoencoderKL of this configuration");
  return vae;
}

/** Checks what decoding reads; the encoder's tensors may be there. @throws {AssetError} As {@link checkTensors}. */
export function checkDecoder(vae: Vae, shapes: TensorShapes, whole: string): void {
  const names = new Set(
    [...shapes.names].filter((name) => !/^(?:encoder|quant_conv)\./.test(name)),
  );
  checkTensors(vaeTensors(vae), { names, dims: (name) => shapes.dims(name) }, whole);
}

/** Names and shapes of all tensors that decoding reads. */
export function vaeTensors({ middle, up }: Vae): Map<string, readonly number[]> {
  const graphs = [middle.before, middle.attention, middle.after, ...up.map(({ graph }) => graph)];
  const parameters = graphs.flatMap((graph) => graph?.parameters ?? []);
  return new Map(parameters.map(({ name, dims }) => [name, dims.map(Number)]));
}

const ATTENTION = "mid_block.attentions.0";

/** The graphs of a configuration, whose attention has tensors of these names; today's unless given. */
export function describeVae(
  config: VaeConfig,
  names: blocks.AttentionNames = blocks.ATTENTION_NAMES.now,
): Vae {
  const { blockChannels, latentChannels, scalingFactor, shiftFactor } = config;
  const up = upSteps(config);
  return {
    latentChannels,
    scale: 2 ** (blockChannels.length - 1),
    scalingFactor,
    shiftFactor,
    middle: middleGraphs(config, names),
    up,
    reach: reachOf(up),
  };
}

/** Every step's 3 × 3 convolution adds one of its own pixels to the radius. */
export function reachOf(steps: readonly UpStep[]): number {
  let [pixel, reach] = [1, 0];
  for (const { kind } of steps) {
    if (kind === "double") pixel /= 2;
    reach += pixel;
  }
  return Math.ceil(reach);
}

/** A graph from `x` to `y`. */
export function graphOf(
  name: string,
  channels: number,
  build: (graph: GraphBuilder, x: Node) => Node,
): GraphBuilder {
  const graph = new GraphBuilder(name);
  graph.output("y", build(graph, graph.input("x", [1, channels, "H", "W"])));
  return graph;
}

function middleGraphs(config: VaeConfig, names: blocks.AttentionNames): MiddleGraphs {
  const { blockChannels, groups, attention, latentChannels, postQuantConv } = config;
  const [norm, width] = [blocks.ownNorm(groups), blockChannels.at(-1)!]; // there is a level
  const layer = (graph: GraphBuilder, x: Node, index: number): Node =>
    blocks.resnet(graph, x, { name: `decoder.mid_block.resnets.${index}`, out: width, norm });
  const name = `decoder.${ATTENTION}`;
  const before = graphOf("decoder.mid_block.before", latentChannels, (graph, x) => {
    const latent = postQuantConv
      ? blocks.mixChannels(graph, x, "post_quant_conv", latentChannels)
      : x;
    const y = layer(graph, blocks.convolve(graph, latent, "decoder.conv_in", width), 0);
    if (!attention) return y;
    const inputs = blocks.attentionInputs(graph, y, { name, names, norm });
    ["q", "k", "v"].forEach((output, i) => graph.output(output, inputs[i]!));
    return y;
  });
  const after = graphOf("decoder.mid_block.after", width, (graph, x) => {
    const mixed = attention && graph.input("mixed", [1, "H*W", width]);
    return layer(graph, mixed ? blocks.attentionResult(graph, x, { name, names, mixed }) : x, 1);
  });
  if (!attention) return { before, after };
  return { before, attention: attentionGraph("decoder.mid_block.attention", width), after };
}

function attentionGraph(name: string, width: number): GraphBuilder {
  const graph = new GraphBuilder(name);
  const q = graph.input("q", [1, "queries", width]);
  const [k, v] = ["k", "v"].map((input) => graph.input(input, [1, "pixels", width]));
  graph.output("y", attention(graph, [q, k!, v!], 1));
  return graph;
}

/** From the latent's size to the picture: residual layers, doublings, and the last convolution. */
function upSteps({ blockChannels, layersPerBlock, groups }: VaeConfig): UpStep[] {
  const norm = blocks.partNorm(groups);
  const levels = blockChannels.toReversed();
  const steps: UpStep[] = [];
  let channels = levels[0]!; // there is a level
  for (const [level, out] of levels.entries()) {
    const block = `decoder.up_blocks.${level}`;
    for (let layer = 0; layer <= layersPerBlock; layer++) {
      steps.push(...residualSteps(channels, { name: `${block}.resnets.${layer}`, out, norm }));
      channels = out;
    }
    if (level === levels.length - 1) break;
    const name = `${block}.upsamplers.0`;
    const graph = graphOf(name, out, (graph, x) => blocks.upsample(graph, x, name));
    steps.push({ kind: "double", graph });
  }
  const graph = graphOf("decoder.out", channels, (graph, x) => {
    const normed = silu(graph, norm(graph, x, "decoder.conv_norm_out"));
    return blocks.convolve(graph, normed, "decoder.conv_out", 3);
  });
  return [...steps, { kind: "last", graph }];
}

/** The halves of a residual layer. */
function residualSteps(channels: number, layer: blocks.Residual): UpStep[] {
  const enter = graphOf(`${layer.name}.enter`, channels, (graph, x) => {
    if (blocks.changesChannels(x, layer)) graph.output("skip", blocks.shortcut(graph, x, layer));
    return blocks.enterResnet(graph, x, layer);
  });
  const leave = graphOf(`${layer.name}.leave`, layer.out, (graph, x) => {
    const skip = graph.input("skip", x.dims);
    return blocks.leaveResnet(graph, x, { ...layer, skip });
  });
  return [{ kind: "enter", graph: enter }, { kind: "leave", graph: leave }];
}
