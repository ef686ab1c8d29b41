/**
 * Writes an official DiT state dict of a published size with random float16 weights, for measuring what
 * does not depend on the numbers:
 *
 *     deno run --allow-write scripts/make/random_model.ts DiT-XL/2 /tmp/xl.safetensors
 */
import { ditTensors } from "../../src/model/dit/dit.ts";
import { writeRandomFile } from "./random_file.ts";
import { publishedConfig } from "./random_weights.ts";

const [size = "DiT-XL/2", path = "random.safetensors"] = Deno.args;
await writeRandomFile(path, ditTensors(publishedConfig(size)));
