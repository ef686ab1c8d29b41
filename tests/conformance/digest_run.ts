/**
 * Generates on one wasm thread and prints what every runtime must agree on, as JSON.
 *
 *     deno run -A tests/conformance/digest_run.ts
 */
import process from "node:process";
import { openEngine } from "../../src/engine/engine.ts";
import { tileGrid, toPictures } from "../../src/image/picture.ts";
import { encodePng } from "../../src/image/png.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { DIT_A } from "./pipeline_checks.ts";

/** From here and from a bundle of this file: see `withBundle()`. */
const FASHION_DIT = new URL("../../models/fashion-dit/", import.meta.url);

async function sha256(numbers: Float32Array | Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", numbers.slice()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function latentsOf(model: URL, labels: readonly number[]): Promise<Tensor> {
  const pipeline = await openEngine({ model, backend: "wasm", threads: 1 });
  const { latents } = await pipeline.generate({ labels, seed: 7, steps: 4 });
  await pipeline.close();
  return latents;
}

const small = await latentsOf(DIT_A, [0, 3, 6]);
const drawn = await latentsOf(FASHION_DIT, [7, 8]);
const pictures = toPictures(drawn);
const png = async (): Promise<string> => await sha256(await encodePng(tileGrid(pictures)));
const digests = {
  latents: [await sha256(small.data), await sha256(drawn.data)],
  pixels: await Promise.all(pictures.map(({ pixels }) => sha256(pixels))),
  png: [await png(), await png()],
};
console.log(JSON.stringify(digests));
process.exit(0); // the runtime's threads would keep the process alive
