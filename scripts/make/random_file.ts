/** Safetensors files of random float16 weights, for measuring what does not depend on the numbers. */
import { open } from "node:fs/promises";
import { encodeHeader } from "../../src/assets/formats/safetensors_writer.ts";
import { encodeFloat16 } from "../../src/tensor/half.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import { randomNumbers } from "./random_weights.ts";

/** Tensors of one size share their numbers: encoding a gigabyte would take minutes. */
const encoded = new Map<number, Uint8Array>();

/** Writes tensors of these shapes. */
export async function writeRandomFile(
  path: string,
  shapes: ReadonlyMap<string, readonly number[]>,
): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(
      encodeHeader(new Map([...shapes].map(([name, dims]) => [name, { dtype: "F16", dims }]))),
    );
    for (const dims of shapes.values()) {
      const count = elementCount(dims);
      const bytes = encoded.get(count) ?? encodeFloat16(randomNumbers(count, count));
      encoded.set(count, bytes);
      await file.writeFile(bytes);
    }
  } finally {
    await file.close();
  }
}
