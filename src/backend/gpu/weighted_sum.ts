/**
 * The sampler's update on the device: every result is a weighted sum of the same buffers, in one dispatch. Which solver it
 * is shows in the weights only.
 */

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
  /** Whether a second half of the prediction, and of the latent, is the null half. */
  readonly halves: boolean;
  /** Latents that the solver keeps. */
  readonly history: number;
}

/** Where the sums' operands and results lie. */
export interface SumPlaces {
  /** `(outputs, terms, n, C)`: outputs are latent, estimate, history; terms latent, both halves, history. */
  readonly weights: Place;
  readonly prediction: Place;
  /** `(n, …)`, or twice that with halves, both alike. */
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
    const all = [places.weights, places.prediction, places.latent, places.estimate, places.history];
    const bound = all.slice(0, sizes.history > 0 ? 5 : 4);
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
  const count = pictures * before * channels * after;
  const terms = termCount(sizes);
  const kept = Array.from({ length: history }, (_, h) => h);
  const sum = (output: number): string => `sum(${output}u, place, terms)`;
  return `
@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;
@group(0) @binding(2) var<storage, read_write> latent: array<f32>;
@group(0) @binding(3) var<storage, read_write> estimate: array<f32>;
${history > 0 ? "@group(0) @binding(4) var<storage, read_write> history: array<f32>;" : ""}

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
  let p = (outer * ${predicted}u + channel) * ${after}u + i % ${after}u;
  var terms: array<f32, ${terms}>;
  terms[0] = latent[i];
  terms[1] = prediction[p];
  terms[2] = ${halves ? `prediction[p + ${pictures * before * predicted * after}u]` : "0.0"};
  ${kept.map((h) => `terms[${3 + h}] = history[i + ${h * count}u];`).join("\n  ")}
  let next = ${sum(0)};
  latent[i] = next;
  ${halves ? `latent[i + ${count}u] = next;` : ""}
  estimate[i] = ${sum(1)};
  ${kept.map((h) => `history[i + ${h * count}u] = ${sum(2 + h)};`).join("\n  ")}
}`;
}
