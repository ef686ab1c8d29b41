/**
 * The decoder of diffusers' `AutoencoderTiny` (TAESD): convolutions and ReLU, without norms or attention.
 *
 * *Source:* diffusers `autoencoder_tiny.py`, `DecoderTiny` of `vae.py`, `AutoencoderTinyBlock`.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson, withoutNotes } from "../../assets/json.ts";
import type { Weights } from "../../assets/weights.ts";
import { convolution, upsampleNearest } from "../../onnx/convolution.ts";
import type { GraphBuilder, Node } from "../../onnx/graph.ts";
import { add, multiply, relu, subtract, tanh } from "../../onnx/operators.ts";
import { refuseConfig } from "./config.ts";
import { convolve } from "./blocks.ts";
import { graphOf, inFewGraphs, type LayerStep, layerStep, reachOf } from "./layer_step.ts";
import { checkVae, FEW_CHANNELS, type Vae } from "./vae.ts";

const channels = z.int().min(1).max(1 << 14);
const schema = z.strictObject({
  _class_name: z.literal("AutoencoderTiny"),
  in_channels: z.literal(3).default(3),
  out_channels: z.literal(3).default(3),
  decoder_block_out_channels: z.array(channels).min(1).max(8).default([64, 64, 64, 64]),
  num_decoder_blocks: z.array(z.int().min(0).max(16)).default([3, 3, 3, 1]),
  act_fn: z.literal("relu").default("relu"),
  upsample_fn: z.literal("nearest").default("nearest"),
  upsampling_scaling_factor: z.literal(2).default(2),
  latent_channels: channels.default(4),
  scaling_factor: z.number().positive().default(1),
  shift_factor: z.number().nullable().default(0),
  // What follows changes no decoded number: the encoder, and how latents are stored in 8 bits.
  block_out_channels: z.unknown().optional(),
  encoder_block_out_channels: z.unknown().optional(),
  num_encoder_blocks: z.unknown().optional(),
  latent_magnitude: z.unknown().optional(),
  latent_shift: z.unknown().optional(),
  force_upcast: z.unknown().optional(),
});

/**
 * Describes a diffusers `AutoencoderTiny`.
 *
 * @param config Its `config.json`.
 * @throws {AssetError} When the configuration asks for what we do not compute, or the tensors do not fit it.
 */
export function openTinyVae(config: unknown, weights: Weights): Vae {
  const c = checkJson(withoutNotes(config), schema, "config.json of the VAE");
  const { decoder_block_out_channels: widths, num_decoder_blocks: blocks } = c;
  const width = widths[0]!; // there is a level
  if (widths.length !== blocks.length || widths.some((other) => other !== width)) {
    const wanted = `${blocks.length} equal numbers, one for each of num_decoder_blocks`;
    refuseConfig(`decoder_block_out_channels must be ${wanted}`, widths);
  }
  const up = upSteps(width, blocks);
  const vae: Vae = {
    latentChannels: c.latent_channels,
    scale: 2 ** (blocks.length - 1),
    scalingFactor: c.scaling_factor,
    shiftFactor: c.shift_factor ?? 0,
    middle: { before: clampAndWiden(c.latent_channels, width) },
    up,
    ...(width <= FEW_CHANNELS && { upWhole: inFewGraphs(up, 1) }),
    reach: reachOf(up),
  };
  checkVae(vae, weights, "an AutoencoderTiny of this configuration");
  return vae;
}

/** Numbers beyond ±3 are clamped softly, then every pixel gets the decoder's width. */
function clampAndWiden(latentChannels: number, width: number): GraphBuilder {
  return graphOf("decoder.layers.0", latentChannels, (graph, x) => {
    const [third, three] = [1 / 3, 3].map((value) => graph.constant([1], [value], "float32"));
    const clamped = multiply(graph, tanh(graph, multiply(graph, x, third!)), three!);
    return relu(graph, convolve(graph, clamped, "decoder.layers.0", width));
  });
}

/** Names count every layer of the decoder, those without weights too: ReLU is 1, each doubling is one. */
function upSteps(width: number, blocks: readonly number[]): LayerStep[] {
  const steps: LayerStep[] = [];
  let layer = 2;
  for (const [level, count] of blocks.entries()) {
    for (let block = 0; block < count; block++) {
      steps.push(...residualSteps(`decoder.layers.${layer++}`, width));
    }
    if (level === blocks.length - 1) break;
    const name = `decoder.layers.${++layer}`;
    steps.push(layerStep({ kind: "double", name, channels: width }, (graph, { x }) => ({
      x: double(graph, x, name),
    })));
    layer++;
  }
  const name = `decoder.layers.${layer}`;
  const end = layerStep({ kind: "end", name, channels: width }, (graph, { x }) => ({
    x: toPicture(graph, convolve(graph, x, name, 3)),
  }));
  return [...steps, end];
}

/** Three convolutions around which x is added. */
function residualSteps(name: string, width: number): LayerStep[] {
  const part = (kind: LayerStep["kind"], index: number): LayerStep => {
    const layer = `${name}.conv.${index}`;
    return layerStep({ kind, name: layer, channels: width }, (graph, { x, skip = x }) => {
      const y = convolve(graph, x, layer, width);
      if (kind === "leave") return { x: relu(graph, add(graph, y, skip)) };
      return { x: relu(graph, y), skip };
    });
  };
  return [part("enter", 0), part("within", 2), part("leave", 4)];
}

function double(graph: GraphBuilder, x: Node, name: string): Node {
  const width = Number(x.dims[1]);
  const weight = graph.parameter(`${name}.weight`, [width, width, 3, 3]); // and no bias
  return convolution(graph, upsampleNearest(graph, x), { weight });
}

/** [0, 1] to [-1, 1]. */
function toPicture(graph: GraphBuilder, x: Node): Node {
  const [two, one] = [2, 1].map((value) => graph.constant([1], [value], "float32"));
  return subtract(graph, multiply(graph, x, two!), one!);
}
