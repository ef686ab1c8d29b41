/**
 * Directories in memory of DiTs of published sizes, for measuring time: float16 weights of made-up numbers, the same ones
 * again and again, since drawing 675 million would take a minute.
 */
import { encodeHeader } from "../../src/assets/formats/safetensors_writer.ts";
import { ditTensors } from "../../src/model/dit/dit.ts";
import { encodeFloat16 } from "../../src/tensor/half.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import type { ModelFiles } from "./narrow_models.ts";
import { publishedConfig, randomNumbers } from "./random_weights.ts";

/** Numbers that are drawn. */
const DRAWN = 1 << 20;

/** The files of a size such as `DiT-XL/2`, for pictures of 256². */
export function publishedDit(name: string): ModelFiles {
  const { inputSize, patchSize, hiddenSize, depth, numHeads, ...config } = publishedConfig(name);
  const layout = new Map(
    [...ditTensors({ inputSize, patchSize, hiddenSize, depth, numHeads, ...config })]
      .map(([tensor, dims]) => [tensor, { dtype: "F16", dims }] as const),
  );
  const json = {
    ...{ input_size: inputSize, patch_size: patchSize, hidden_size: hiddenSize },
    ...{ depth, num_heads: numHeads },
  };
  return new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify(json))],
    ["model.safetensors", fileOf(layout)],
  ]);
}

function fileOf(
  layout: ReadonlyMap<string, { readonly dtype: "F16"; readonly dims: readonly number[] }>,
): Uint8Array<ArrayBuffer> {
  const header = encodeHeader(layout);
  const count = [...layout.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  const file = new Uint8Array(header.length + 2 * count);
  file.set(header);
  const drawn = encodeFloat16(randomNumbers(Math.min(DRAWN, count), 1));
  file.set(drawn, header.length);
  for (let size = drawn.length; size < 2 * count; size *= 2) { // what is there once more
    file.copyWithin(header.length + size, header.length, header.length + size);
  }
  return file;
}
