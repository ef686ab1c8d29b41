/**
 * The sampler's update on the device: every result is a weighted sum of the same buffers, in one dispatch. Which solver it
 * is shows in the weights only.
 */

import { type Axes, placeText } from "./axes.ts";
import type { Place } from "./memory.ts";

/** Sizes of an update. */
export interface SumSizes {
  /** Pictures n. */
  readonly pictures: number;
  /** Numbers of a latent in front of its channels: 1 of `(n, C, H, W)`, T of `(n, T, C)`. */
  readonly before: number;
  readonly channels: number;
  /** Channels of a prediction, which may be more. */
  readonly predicted: number;
  /** Numbers of a latent after its channels: H · W, or 1. */
  readonly after: number;
  /** Whether a second half of the prediction, and of what the model is given, is the null half. */
  readonly halves: boolean;
  /** Latents that the solver keeps. */
  readonly history: number;
  /** How numbers lie in what the model is given, where that is not the latent's own order. */
  readonly givenAxes?: Axes | undefined;
  /** How numbers lie in its prediction, where that is not its own order. */
  readonly predictedAxes?: Axes | undefined;
}

/** Where the sums' operands and results lie. */
export interface SumPlaces {
  /** `(outputs, terms, n, C)`: outputs are latent, estimate, history; terms latent, both halves, history. */
  readonly weights: Place;
  readonly prediction: Place;
  /** The latent as the model takes it: once, or for both halves. */
  readonly given: Place;
  /** `(n, …)`. */
  readonly latent: Place;
  readonly estimate: Place;
  /** `(history, n, …)`. */
  readonly history: Place;
}

/** Terms of every sum. */
export function termCount({ history }: SumSizes): number {
  return 3 + history;
}

/** Numbers of the weights of one step. */
export function weightCount(sizes: SumSizes): number {
  return (2 + sizes.history) * termCount(sizes) * sizes.pictures * sizes.channels;
}

/** A compiled update on fixed buffers. */
export class WeightedSum {
  readonly #pipeline: GPUComputePipeline;
  readonly #group: GPUBindGroup;
  readonly #workgroups: readonly [number, number];

  constructor(device: GPUDevice, sizes: SumSizes, places: SumPlaces) {
    const { pictures, before, channels, after } = sizes;
    const module = device.createShaderModule({ code: shaderOf(sizes) });
    this.#pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
    const { weights, prediction, given, latent, estimate, history } = places;
    const kept = sizes.history > 0 ? [history] : [];
    const bound = [weights, prediction, given, latent, estimate, ...kept];
    this.#group = device.createBindGroup({
      layout: this.#pipeline.getBindGroupLayout(0),
      entries: bound.map((place, binding) => ({ binding, resource: { ...place } })),
    });
    const groups = Math.ceil(pictures * before * channels * after / WIDTH);
    this.#workgroups = [Math.min(groups, MOST_GROUPS), Math.ceil(groups / MOST_GROUPS)];
  }

  encode(encoder: GPUCommandEncoder): void {
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#group);
    pass.dispatchWorkgroups(...this.#workgroups);
    pass.end();
  }
}

const WIDTH = 64;
/** Along one axis. *Source:* WebGPU, `maxComputeWorkgroupsPerDimension`. */
const MOST_GROUPS = 65535;

function shaderOf(sizes: SumSizes): string {
  const { pictures, before, channels, predicted, after, halves, history } = sizes;
  const { givenAxes, predictedAxes } = sizes;
  const count = pictures * before * channels * after;
  const terms = termCount(sizes);
  const kept = Array.from({ length: history }, (_, h) => h);
  const sum = (output: number): string => `sum(${output}u, place, terms)`;
  return `
@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;
@group(0) @binding(2) var<storage, read_write> given: array<f32>;
@group(0) @binding(3) var<storage, read_write> latent: array<f32>;
@group(0) @binding(4) var<storage, read_write> estimate: array<f32>;
${history > 0 ? "@group(0) @binding(5) var<storage, read_write> history: array<f32>;" : ""}

fn sum(output: u32, place: u32, terms: array<f32, ${terms}>) -> f32 {
  var total = 0.0;
  var all = terms;
  for (var term = 0u; term < ${terms}u; term++) {
    total += weights[(output * ${terms}u + term) * ${pictures * channels}u + place] * all[term];
  }
  return total;
}

@compute @workgroup_size(${WIDTH})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * ${MOST_GROUPS * WIDTH}u;
  if (i >= ${count}u) { return; }
  let channel = i / ${after}u % ${channels}u;
  let outer = i / ${after * channels}u;
  let place = outer / ${before}u * ${channels}u + channel;
  let own = (outer * ${predicted}u + channel) * ${after}u + i % ${after}u;
  let p = ${placeText("own", predictedAxes)};
  var terms: array<f32, ${terms}>;
  terms[0] = latent[i];
  terms[1] = prediction[p];
  terms[2] = ${halves ? `prediction[p + ${pictures * before * predicted * after}u]` : "0.0"};
  ${kept.map((h) => `terms[${3 + h}] = history[i + ${h * count}u];`).join("\n  ")}
  let next = ${sum(0)};
  latent[i] = next;
  let g = ${placeText("i", givenAxes)};
  given[g] = next;
  ${halves ? `given[g + ${count}u] = next;` : ""}
  estimate[i] = ${sum(1)};
  ${kept.map((h) => `history[i + ${h * count}u] = ${sum(2 + h)};`).join("\n  ")}
}`;
}
