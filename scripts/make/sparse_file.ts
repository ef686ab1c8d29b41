/**
 * A model's directory of zeros, whose weights are a sparse file: as large as the model's, and the disk holds
 * none of it.
 */
import { mkdir, open } from "node:fs/promises";
import { encodeHeader } from "../../src/assets/formats/safetensors_writer.ts";
import { elementCount } from "../../src/tensor/tensor.ts";

/** What is written. */
export interface SparseModel {
  readonly config: unknown;
  /** Name of the file of weights. */
  readonly file: string;
  /** Shapes by name; all are float16. */
  readonly tensors: ReadonlyMap<string, readonly number[]>;
}

/** Writes `config.json` and the weights into a folder. Returns how many numbers these have. */
export async function writeSparse(
  folder: string,
  { config, file: name, tensors }: SparseModel,
): Promise<number> {
  const header = encodeHeader(
    new Map([...tensors].map(([name, dims]) => [name, { dtype: "F16" as const, dims }])),
  );
  const count = [...tensors.values()].reduce((sum, dims) => sum + elementCount(dims), 0);
  await mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  const file = await open(`${folder}/${name}`, "w");
  await file.writeFile(header);
  await file.truncate(header.length + 2 * count);
  await file.close();
  return count;
}
