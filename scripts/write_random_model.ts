/**
 * Writes an official DiT state dict of a published size with random float16 weights, for measuring what
 * does not depend on the numbers:
 *
 *     deno run --allow-write scripts/write_random_model.ts DiT-XL/2 /tmp/xl.safetensors
 */
import { open } from "node:fs/promises";
import { encodeHeader } from "../src/assets/safetensors_writer.ts";
import { ditTensors } from "../src/model/dit_config.ts";
import { encodeFloat16 } from "../src/tensor/half.ts";
import { elementCount } from "../src/tensor/tensor.ts";
import { publishedConfig, randomNumbers } from "./random_weights.ts";

const [size = "DiT-XL/2", path = "random.safetensors"] = Deno.args;
const tensors = ditTensors(publishedConfig(size));
const layout = new Map([...tensors].map(([name, dims]) => [name, { dtype: "F16" as const, dims }]));
const encoded = new Map<number, Uint8Array>();
const file = await open(path, "w");
try {
  await file.writeFile(encodeHeader(layout));
  for (const dims of tensors.values()) {
    const count = elementCount(dims);
    // Tensors of one size share their numbers: encoding a gigabyte would take minutes.
    const bytes = encoded.get(count) ?? encodeFloat16(randomNumbers(count, count));
    encoded.set(count, bytes);
    await file.writeFile(bytes);
  }
} finally {
  await file.close();
}
