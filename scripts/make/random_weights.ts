/**
 * Weights of any DiT geometry, for measuring time and memory where nothing depends on the numbers.
 */
import { ditModel } from "../../src/model/dit/open.ts";
import { originOf } from "../../src/model/opened_model.ts";
import type { Model } from "../../src/model/model.ts";
import type { Weights } from "../../src/assets/weights.ts";
import type { DitConfig } from "../../src/model/dit/config.ts";
import { ditTensors } from "../../src/model/dit/dit.ts";
import { elementCount } from "../../src/tensor/tensor.ts";

/** Published geometries: width, depth, heads. */
const SIZES = { S: [384, 12, 6], B: [768, 12, 12], L: [1024, 24, 16], XL: [1152, 28, 16] } as const;

/** A published size such as `DiT-S/2` on 32 × 32 latents (256² pictures). */
export function publishedConfig(name: string): DitConfig {
  const [, size = "", patch] = /^DiT-(S|B|L|XL)\/([248])$/.exec(name) ?? [];
  const geometry = SIZES[size as keyof typeof SIZES]; // undefined is refused just below
  if (geometry === undefined) {
    throw new RangeError(
      `Cannot make weights: size must be like DiT-S/2: current value is ${name}`,
    );
  }
  const [hiddenSize, depth, numHeads] = geometry;
  return {
    inputSize: 32,
    patchSize: Number(patch),
    inChannels: 4,
    hiddenSize,
    depth,
    numHeads,
    mlpRatio: 4,
    classDropoutProb: 0.1,
    numClasses: 1000,
    learnSigma: true,
  };
}

/** Small reproducible numbers for every tensor of the configuration, made when they are read. */
export function randomWeights(config: DitConfig): Weights {
  const tokens = (config.inputSize / config.patchSize) ** 2;
  return randomTensors(
    new Map([...ditTensors(config), ["pos_embed", [1, tokens, config.hiddenSize]]]),
  );
}

/** Small reproducible numbers for tensors of these shapes, made when they are read. */
export function randomTensors(shapes: ReadonlyMap<string, readonly number[]>): Weights {
  return {
    names: new Set(shapes.keys()),
    dims: (name) => shapes.get(name),
    read: (name) => {
      const dims = shapes.get(name)!; // only names of the map are asked for
      return Promise.resolve({ dims, data: randomNumbers(elementCount(dims), name.length) });
    },
    sample: (_name, indices) => Promise.resolve(new Float32Array(indices.length)),
  };
}

/** A DiT of a published size with random weights. */
export function randomModel(name: string): Model {
  const config = publishedConfig(name);
  return {
    ...ditModel(config),
    id: name,
    weights: randomWeights(config),
    origin: originOf("dit", {}),
    sampler: { name: "ddim", steps: 50, guidance: 4 },
    fingerprint: () => Promise.resolve("random"),
    close: () => Promise.resolve(),
  };
}

/** Uniform in ±0.05 by a 32-bit xorshift: fast, and free of the subnormals that would slow a CPU. */
export function randomNumbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  const numbers = new Float32Array(count);
  let state = (seed * 2654435761 + 1) | 0;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    numbers[i] = state * (0.05 / 2 ** 31);
  }
  return numbers;
}

/** `config.json` of the published autoencoders with 4 latent channels. */
export const PUBLISHED_VAE = {
  _class_name: "AutoencoderKL",
  down_block_types: new Array<string>(4).fill("DownEncoderBlock2D"),
  up_block_types: new Array<string>(4).fill("UpDecoderBlock2D"),
  block_out_channels: [128, 256, 512, 512],
  layers_per_block: 2,
  latent_channels: 4,
  norm_num_groups: 32,
  scaling_factor: 0.18215,
};
