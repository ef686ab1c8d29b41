/** A DiT of one block with random weights, whose latents are grey pixels: real, and quick. */
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import type { DitConfig } from "../../src/model/dit/config.ts";
import { ditTensors } from "../../src/model/dit/dit.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import { randomNumbers } from "../../scripts/make/random_weights.ts";

const CONFIG: DitConfig = {
  inputSize: 8,
  patchSize: 4,
  inChannels: 1,
  hiddenSize: 16,
  depth: 1,
  numHeads: 2,
  mlpRatio: 4,
  classDropoutProb: 0.1,
  numClasses: 3,
  learnSigma: true,
};

/** Its files by name. */
export async function tinyModel(): Promise<ReadonlyMap<string, Uint8Array>> {
  const tensors = new Map([...ditTensors(CONFIG)].map(([name, dims]) => [
    name,
    { dims, data: randomNumbers(elementCount(dims), name.length) },
  ]));
  const weights = new Blob([...encodeSafetensors(tensors)] as BlobPart[]); // never of shared memory
  const config = {
    input_size: 8,
    patch_size: 4,
    in_channels: 1,
    hidden_size: 16,
    depth: 1,
    num_heads: 2,
    mlp_ratio: 4,
    class_dropout_prob: 0.1,
    num_classes: 3,
    learn_sigma: true,
  };
  return new Map([
    ["weights.safetensors", new Uint8Array(await weights.arrayBuffer())],
    ["config.json", new TextEncoder().encode(JSON.stringify(config))],
  ]);
}
