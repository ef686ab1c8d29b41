/**
 * What is measured on WebGPU, by name: narrow models, DiTs of published sizes, or a directory. For Deno and for a browser.
 */
import type { Tensor } from "../../mod.ts";
import { dit } from "../../src/model/dit/dit.ts";
import type { Transformer } from "../../src/model/module_graph.ts";
import { openModel } from "../../src/model/open_model.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import { narrowDit, narrowFlux } from "../make/narrow_models.ts";
import { publishedDit } from "../make/published_dit.ts";
import { publishedConfig, randomNumbers } from "../make/random_weights.ts";
import type { Subject } from "./gpu_steps.ts";

/** Models that are made here. */
export const NARROW: readonly string[] = ["narrow-dit", "narrow-flux"];

/** At the end of a model's name: its products in float16. */
const HALF = "-f16";

/** One guided picture of a model; `narrow-dit-64` has 64 tokens, and `-f16` computes products in float16. */
export function subjectOf(model: string): Subject {
  if (model.endsWith(HALF)) {
    const { open, generate } = subjectOf(model.slice(0, -HALF.length));
    return { open: { ...open, precision: "f16" }, generate };
  }
  const precision = "f32";
  const generate = { labels: [1] };
  if (model === "narrow-dit") return { open: { model: narrowDit(), precision }, generate };
  if (model === "narrow-dit-64") return { open: { model: narrowDit(16), precision }, generate };
  if (isPublished(model)) return { open: { model: publishedDit(model), precision }, generate };
  if (model !== "narrow-flux") return { open: { model, precision }, generate };
  const text = { text: numbers([1, 4, 16], 1), pooled: numbers([1, 16], 2) };
  return { open: { model: narrowFlux(), precision }, generate: { ...text, grid: [4, 4] } };
}

/** The parts of a model. */
export async function transformerOf(model: string): Promise<Transformer> {
  const name = model.replace(new RegExp(`${HALF}$`), "");
  if (isPublished(name)) return dit(publishedConfig(name)); // without making its weights
  const opened = await openModel(subjectOf(model).open.model!); // a subject has one
  await opened.close();
  return opened.transformer;
}

/** Whether a model is a DiT of a published size. */
export function isPublished(model: string): boolean {
  return model.startsWith("DiT-");
}

function numbers(dims: readonly number[], seed: number): Tensor {
  return { dims, data: randomNumbers(elementCount(dims), seed) };
}
