/**
 * The encoder of an `AutoencoderKL`, which turns pictures into latents: the mean of their distribution.
 *
 * *Source:* diffusers `autoencoders/vae.py` `Encoder`, `autoencoder_kl.py`, `DiagonalGaussianDistribution.mode`.
 */

import { slice } from "../../onnx/operators.ts";
import * as blocks from "./blocks.ts";
import type { VaeConfig } from "./config.ts";
import {
  type LayerStep,
  layerStep,
  type MiddleGraphs,
  middleGraphs,
  reachOf,
  residualSteps,
} from "./layer_step.ts";

/** The graphs from pictures to latents. */
export interface Encoder {
  /** From the picture to the latent's size; norms can be given statistics. */
  readonly down: readonly LayerStep[];
  /** The last graphs, at the latent's size, to the mean of the latent. */
  readonly middle: MiddleGraphs;
  /** Receptive radius of a pixel before the middle, in latent pixels, ignoring norms. */
  readonly reach: number;
}

/** The encoder of a configuration, whose attention has tensors of these names. */
export function describeEncoder(config: VaeConfig, names: blocks.AttentionNames): Encoder {
  const { latentChannels, quantConv, groups, blockChannels } = config;
  const down = downSteps(config);
  const [norm, out] = [blocks.ownNorm(groups), 2 * latentChannels];
  const middle = middleGraphs(config, {
    half: "encoder",
    names,
    channels: blockChannels.at(-1)!, // there is a level
    leave: (graph, x) => {
      const last = blocks.lastConvolution(graph, x, { name: "encoder", out, norm });
      const moments = quantConv ? blocks.mixChannels(graph, last, "quant_conv", out) : last;
      return slice(graph, moments, { axis: 1, first: 0, count: latentChannels }); // then log variances
    },
  });
  return { down, middle, reach: reachOf(down, 2 ** (1 - blockChannels.length)) };
}

/** From the picture to the latent's size: the first convolution, residual layers, halvings. */
function downSteps({ blockChannels, layersPerBlock, groups }: VaeConfig): LayerStep[] {
  let channels = blockChannels[0]!; // there is a level
  const out = channels;
  const steps = [
    layerStep({ kind: "end", name: "encoder.conv_in", channels: 3 }, (graph, { x }) => ({
      x: blocks.convolve(graph, x, "encoder.conv_in", out),
    })),
  ];
  for (const [level, out] of blockChannels.entries()) {
    const block = `encoder.down_blocks.${level}`;
    for (let layer = 0; layer < layersPerBlock; layer++) {
      steps.push(...residualSteps(channels, { name: `${block}.resnets.${layer}`, out, groups }));
      channels = out;
    }
    if (level === blockChannels.length - 1) break;
    const name = `${block}.downsamplers.0`;
    steps.push(layerStep({ kind: "halve", name, channels }, (graph, { x }) => ({
      x: blocks.downsample(graph, x, name),
    })));
  }
  return steps;
}
