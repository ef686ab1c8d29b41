/**
 * Generates on one wasm thread and prints what every runtime must agree on, as JSON.
 *
 *     deno run -A tests/conformance/digest_run.ts
 */
import process from "node:process";
import { openEngine } from "../../src/engine/engine.ts";
import { type Picture, tileGrid, toPictures } from "../../src/image/picture.ts";
import { encodePng } from "../../src/image/png.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { DIT_A } from "./pipeline_checks.ts";

/** From here and from a bundle of this file: see `withBundle()`. */
const FASHION_DIT = new URL("../../models/fashion-dit/", import.meta.url);
const PEEPS_FLUX = new URL("../../models/peeps-flux/", import.meta.url);
/** The README's. */
const PROMPT = "a person with curly hair, sunglasses and a green shirt, light blue background";

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

/** A picture of a sentence: tokenizers, text encoders, transformer and autoencoder. */
async function drawnFrom(prompt: string): Promise<{ latents: Tensor; pictures: Picture[] }> {
  const pipeline = await openEngine({ model: PEEPS_FLUX, backend: "wasm", threads: 1 });
  const { latents, pictures } = await pipeline.generate({
    prompt,
    seed: 7,
    steps: 3,
    plan: "none",
  });
  await pipeline.close();
  return { latents, pictures: [...pictures] };
}

const small = await latentsOf(DIT_A, [0, 3, 6]);
const drawn = await latentsOf(FASHION_DIT, [7, 8]);
const said = await drawnFrom(PROMPT);
const pictures = [...toPictures(drawn), ...said.pictures];
const png = async (): Promise<string> => await sha256(await encodePng(tileGrid(said.pictures)));
const digests = {
  latents: await Promise.all([small, drawn, said.latents].map(({ data }) => sha256(data))),
  pixels: await Promise.all(pictures.map(({ pixels }) => sha256(pixels))),
  png: [await png(), await png()],
};
console.log(JSON.stringify(digests));
process.exit(0); // the runtime's threads would keep the process alive
