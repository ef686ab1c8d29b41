/** The autoencoder against diffusers, on its own numbers. */

import { requires } from "../../_shim/requires.ts";
import { assertClose, relativeError } from "../../conformance/compare.ts";
import * as vaes from "../../../src/engine/decode/vae.ts";
import { withGraphs } from "./small_vae.ts";

/** Share of the largest reference number. Both sides are float32 with some 60 layers behind each other. */
const TOLERANCE = 5e-4;

for (const provider of ["wasm", "native", "webgpu"] as const) {
  const needs = provider === "wasm" ? [] : [provider];
  const options = await requires(`goldens of autoencoders on ${provider}`, ...needs);
  for (const name of ["vae", "vae-16"] as const) {
    for (const shape of ["", ".rect"]) {
      Deno.test(`pictures of ${name}${shape} are diffusers' on ${provider}`, options, async () => {
        await withGraphs({ name, provider }, async (graphs, { golden }) => {
          const picture = await vaes.decodeRaw(graphs, await golden.readFloat32(`latent${shape}`));
          const wanted = await golden.readFloat32(`image${shape}`);
          report(`${name}${shape} decode on ${provider}`, picture.data, wanted.data);
          assertClose(picture, wanted, { tolerance: TOLERANCE, what: "picture" });
        });
      });
    }
    Deno.test(`the mean of ${name}'s latents is diffusers' on ${provider}`, options, async () => {
      await withGraphs({ name, provider }, async (graphs, { golden }) => {
        const mean = await vaes.encodeRaw(graphs, await golden.readFloat32("encode.image"));
        const wanted = await golden.readFloat32("encode.mean");
        report(`${name} encode on ${provider}`, mean.data, wanted.data);
        assertClose(mean, wanted, { tolerance: TOLERANCE, what: "mean" });
      });
    });
  }
}

/** Tighter than for the others: these have few layers. */
const KINDS_TOLERANCE = 2e-4;

for (const provider of ["wasm", "native", "webgpu"] as const) {
  const needs = provider === "wasm" ? [] : [provider];
  const options = await requires(`goldens of other autoencoders on ${provider}`, ...needs);
  for (const name of ["tiny", "no-attention"] as const) {
    Deno.test(`pictures of ${name} are diffusers' on ${provider}`, options, async () => {
      await withGraphs({ name, provider }, async (graphs, { golden }) => {
        const picture = await vaes.decode(graphs, await golden.readFloat32("latent"));
        const wanted = await golden.readFloat32("image");
        report(`${name} decode on ${provider}`, picture.data, wanted.data);
        assertClose(picture, wanted, { tolerance: KINDS_TOLERANCE, what: "picture" });
      });
    });
  }
  Deno.test(
    `the mean of no-attention's latents is diffusers' on ${provider}`,
    options,
    async () => {
      await withGraphs({ name: "no-attention", provider }, async (graphs, { golden }) => {
        const mean = await vaes.encodeRaw(graphs, await golden.readFloat32("encode.image"));
        const wanted = await golden.readFloat32("encode.mean");
        assertClose(mean, wanted, { tolerance: KINDS_TOLERANCE, what: "mean" });
      });
    },
  );
}

/** The figures that the README states. */
function report(what: string, actual: Float32Array, wanted: Float32Array): void {
  console.log(`${what}: ${relativeError(actual, wanted).toExponential(1)} × max|reference|`);
}
