/** A FLUX of random weights with what its runs begin from, as the goldens have it. */

import { openPipeline, type Pipeline } from "../../../mod.ts";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../../src/assets/source.ts";
import type { RunConditions } from "../../../src/calibrate/task.ts";

const FLUX_A = new URL("../../golden/flux-a/", import.meta.url);

/** Opens it, with two rows of text and of noise. */
export async function openSmallFlux(): Promise<{
  readonly pipeline: Pipeline;
  readonly conditions: RunConditions;
}> {
  const source = openDirectory(FLUX_A);
  try {
    const file = await openSafetensors(source, "golden.safetensors");
    const noise = await file.readFloat32("noise");
    const [text, pooled] = [await file.readFloat32("text"), await file.readFloat32("pooled")];
    const imageIds = await file.readFloat32("image_ids");
    const labels = Array.from({ length: noise.dims[0]! }, (_, i) => i);
    const given = { text, pooled, imageIds };
    const pipeline = await openPipeline({ model: FLUX_A, backend: "wasm" });
    return { pipeline, conditions: { labels, noise, given, seeds: [] } };
  } finally {
    await source.close();
  }
}
