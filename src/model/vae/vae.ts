/**
 * An autoencoder between pictures and a diffusion model's latents, cut into graphs: a decoder, and where there are
 * weights of one, an encoder.
 *
 * *Source:* diffusers `autoencoders/vae.py` `Decoder` and `autoencoder_kl.py`.
 */

import type { Weights } from "../../assets/weights.ts";
import { checkTensors, type TensorShapes } from "../../assets/tensor_shapes.ts";
import * as blocks from "./blocks.ts";
import { parseVaeConfig, type VaeConfig } from "./config.ts";
import { describeEncoder, type Encoder } from "./encoder.ts";
import {
  ATTENTION,
  type GraphStep,
  inFewGraphs,
  type LayerStep,
  layerStep,
  type MiddleGraphs,
  middleGraphs,
  reachOf,
  residualSteps,
} from "./layer_step.ts";

/** An autoencoder as its graphs; weights are not among them. */
export interface Vae {
  readonly latentChannels: number;
  /** Pixels of a picture's side for each of its latent's. */
  readonly scale: number;
  /** A diffusion model's latent is `(latent − shiftFactor)·scalingFactor`. */
  readonly scalingFactor: number;
  /** See {@link Vae.scalingFactor}; 0 where there is none. */
  readonly shiftFactor: number;
  /** Side of the pictures that it was made for, in pixels; absent where it is not said. */
  readonly sampleSize?: number | undefined;
  /** The first graphs of the decoder, at the latent's size. */
  readonly middle: MiddleGraphs;
  /** From there to the picture; norms can be given statistics. */
  readonly up: readonly LayerStep[];
  /** The same in fewer graphs, for small pictures as a whole; absent where the weights of one would be many. */
  readonly upWhole?: readonly GraphStep[] | undefined;
  /** Receptive radius of a picture's pixel, in latent pixels after the middle, ignoring norms. */
  readonly reach: number;
  /** From pictures to latents; absent where there are no weights of it, or it is not computed. */
  readonly encoder?: Encoder;
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
  const { encoder, ...decoder } = describeVae(parsed, names);
  const encodes = [...weights.names].some((name) => name.startsWith("encoder."));
  const vae: Vae = { ...decoder, ...(encodes && encoder && { encoder }) };
  checkVae(vae, weights, "an AutoencoderKL of this configuration");
  return vae;
}

/**
 * Checks what is read of an autoencoder; of one that does not encode, the encoder's tensors may be there.
 *
 * @throws {AssetError} As {@link checkTensors}.
 */
export function checkVae(vae: Vae, shapes: TensorShapes, whole: string): void {
  const unread = vae.encoder === undefined ? /^(?:encoder|quant_conv)\./ : /^$/;
  const names = new Set([...shapes.names].filter((name) => !unread.test(name)));
  checkTensors(vaeTensors(vae), { names, dims: (name) => shapes.dims(name) }, whole);
}

/** Names and shapes of all tensors that are read. */
export function vaeTensors({ middle, up, encoder }: Vae): Map<string, readonly number[]> {
  const middles = [middle, ...(encoder === undefined ? [] : [encoder.middle])];
  const graphs = [
    ...middles.flatMap(({ before, attention, after }) => [before, attention, after]),
    ...[...up, ...encoder?.down ?? []].map(({ graph }) => graph),
  ];
  const parameters = graphs.flatMap((graph) => graph?.parameters ?? []);
  return new Map(parameters.map(({ name, dims }) => [name, dims.map(Number)]));
}

/** So many channels have 576 KiB of weights in a convolution. */
export const FEW_CHANNELS = 128;

/** The graphs of a configuration, whose attention has tensors of these names; today's unless given. */
export function describeVae(
  config: VaeConfig,
  names: blocks.AttentionNames = blocks.ATTENTION_NAMES.now,
): Vae {
  const { blockChannels, latentChannels, scalingFactor, shiftFactor, sampleSize } = config;
  const up = upSteps(config);
  return {
    latentChannels,
    scale: 2 ** (blockChannels.length - 1),
    scalingFactor,
    shiftFactor,
    sampleSize,
    middle: decoderMiddle(config, names),
    up,
    ...(Math.max(...blockChannels) <= FEW_CHANNELS && { upWhole: inFewGraphs(up, config.groups) }),
    reach: reachOf(up),
    encoder: describeEncoder(config, names),
  };
}

function decoderMiddle(config: VaeConfig, names: blocks.AttentionNames): MiddleGraphs {
  const { blockChannels, latentChannels, postQuantConv } = config;
  return middleGraphs(config, {
    half: "decoder",
    names,
    channels: latentChannels,
    enter: (graph, x) => {
      const latent = postQuantConv
        ? blocks.mixChannels(graph, x, "post_quant_conv", latentChannels)
        : x;
      return blocks.convolve(graph, latent, "decoder.conv_in", blockChannels.at(-1)!); // there is a level
    },
  });
}

/** From the latent's size to the picture: residual layers, doublings, and the last convolution. */
function upSteps({ blockChannels, layersPerBlock, groups }: VaeConfig): LayerStep[] {
  const levels = blockChannels.toReversed();
  const steps: LayerStep[] = [];
  let channels = levels[0]!; // there is a level
  for (const [level, out] of levels.entries()) {
    const block = `decoder.up_blocks.${level}`;
    for (let layer = 0; layer <= layersPerBlock; layer++) {
      steps.push(...residualSteps(channels, { name: `${block}.resnets.${layer}`, out, groups }));
      channels = out;
    }
    if (level === levels.length - 1) break;
    const name = `${block}.upsamplers.0`;
    steps.push(layerStep({ kind: "double", name, channels }, (graph, { x }) => ({
      x: blocks.upsample(graph, x, name),
    })));
  }
  const end = { kind: "end", name: "decoder.out", channels, groups } as const;
  return [
    ...steps,
    layerStep(end, (graph, { x }, norm) => ({
      x: blocks.lastConvolution(graph, x, { name: "decoder", out: 3, norm }),
    })),
  ];
}
