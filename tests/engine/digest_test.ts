/**
 * Digests of latents and pictures of many kinds of runs, on wasm with one thread: a change of structure
 * must not change a bit. A change that must (a fault mended, a kernel replaced) states why in its commit
 * and puts the new digest here; parity with the original implementations is what the golden tests check.
 */

import { assertEquals } from "@std/assert";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import { toPictures } from "../../src/image/picture.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { type Engine, openEngine } from "../../src/engine/engine.ts";
import type { PipelineOptions } from "../../src/engine/pipeline.ts";
import { loadPlan } from "../../src/engine/bundled_plans.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { fluxConditions, fluxPipelineFiles, pipelineFiles } from "./pipeline_files.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const DIT = new URL("../golden/dit-a/", import.meta.url);
const FLUX = new URL("../golden/flux-a/", import.meta.url);
const FLUX_ORIGINAL = new URL("../golden/flux-a-bfl/", import.meta.url);

/** One run: what is opened, what is asked for, and the first 16 hex digits of SHA-256 of what comes. */
interface Case {
  readonly open?: PipelineOptions | (() => Promise<PipelineOptions>);
  readonly generate: GenerateOptions | (() => Promise<GenerateOptions>);
  /** Rows of a plan, made for the model and the times of the run. */
  readonly rows?: (modules: number) => readonly string[];
  /** Of the float32 bytes of the latents, and of the pixels of all pictures where there are any. */
  readonly digests: readonly [latents: string, pixels?: string];
}

/** A plan with every mark: full, each state, single modules, every feature. */
function everyMark(modules: number): string[] {
  const [run, reuse] = [".".repeat(modules), "r".repeat(modules)];
  const half = Math.floor(modules / 2);
  return [run, "=", run, "+", ".".repeat(half) + "r".repeat(modules - half), reuse, "=", run];
}

const CASES: Readonly<Record<string, Case>> = {
  "DiT, two labels, guided": {
    open: { model: DIT },
    generate: { labels: [1, 5], seed: 3, steps: 6, guidance: 4 },
    digests: ["3387dcdca6965702"],
  },
  "DiT, one label, unguided": {
    open: { model: DIT },
    generate: { labels: [2], seed: 4, steps: 5, guidance: 1 },
    digests: ["99fcae63503d4acc"],
  },
  "DiT, a guidance scale for each picture": {
    open: { model: DIT },
    generate: { labels: [0, 3, 6], seed: 9, steps: 4, guidance: [4, 2.5, 1.5] },
    digests: ["1cad9fa00c1d33fd"],
  },
  "DiT, a plan of every mark": {
    open: { model: DIT },
    generate: { labels: [1, 5], seed: 3, guidance: 4 },
    rows: everyMark,
    digests: ["8a6a9133d85abf8b"],
  },
  "DiT, int8": {
    open: { model: DIT, weights: "int8" },
    generate: { labels: [1, 5], seed: 3, steps: 6, guidance: 4 },
    digests: ["9b1e9aafad78561c"],
  },
  "DiT, int4 and a plan of every mark": {
    open: { model: DIT, weights: "int4" },
    generate: { labels: [1, 5], seed: 3, guidance: 4 },
    rows: everyMark,
    digests: ["259f83a19550c2bf"],
  },
  "a diffusers directory with its autoencoder": {
    open: async () => ({ model: await pipelineFiles() }),
    generate: { labels: [1, 5], seed: 7, steps: 6 },
    digests: ["cb09e7d539d647cc", "c41a10f8cb7a4cb4"],
  },
  "a diffusers directory, trailing steps": {
    open: async () => ({
      model: await pipelineFiles({
        "scheduler/scheduler_config.json": { timestep_spacing: "trailing" },
      }),
    }),
    generate: { labels: [1], seed: 7, steps: 5 },
    digests: ["c65a4620eb0571a6", "a2f52bfced81fd42"],
  },
  "a diffusers directory, sampled as the original": {
    open: async () => ({ model: await pipelineFiles(), sampler: "original" as const }),
    generate: { labels: [1], seed: 7, steps: 5 },
    digests: ["90a4b889a50765b4", "62f5dfd8d7158f0c"],
  },
  "FLUX, two prompts from given noise": {
    open: { model: FLUX },
    generate: () => fluxOptions(6),
    digests: ["cd9c6765e0fca1ad"],
  },
  "FLUX under the original's names": {
    open: { model: FLUX_ORIGINAL },
    generate: () => fluxOptions(6),
    digests: ["cd9c6765e0fca1ad"],
  },
  "FLUX, a plan of every mark": {
    open: { model: FLUX },
    generate: () => fluxOptions(),
    rows: everyMark,
    digests: ["0c4280af159ae063"],
  },
  "FLUX, int8": {
    open: { model: FLUX, weights: "int8" },
    generate: () => fluxOptions(6),
    digests: ["0608001fb766967f"],
  },
  "FLUX with an autoencoder, 8 × 4 tokens": {
    open: async () => ({ model: await fluxPipelineFiles() }),
    generate: () => fluxOnGrid(8, 4),
    digests: ["19c7233507a1fb56", "3fd07532884f53ed"],
  },
  "FLUX with an autoencoder, 4 × 6 tokens": {
    open: async () => ({ model: await fluxPipelineFiles() }),
    generate: () => fluxOnGrid(4, 6),
    digests: ["5a4fea73ad18ce12", "ae63877b8aa6ae18"],
  },
  "fashion-dit in full": {
    generate: { labels: ["Sneaker", "Bag"], seed: 7, steps: 8 },
    digests: ["22b3dcef372b94fb", "530ca10116ebf979"],
  },
  "fashion-dit by its plan": {
    generate: { labels: ["Dress"], seed: 1, plan: loadPlan("fashion-dit.ddim25.fast") },
    digests: ["b790e2c32e5b947e", "72c3d6bf5a5c700c"],
  },
};

for (const [name, { open = {}, generate, rows, digests }] of Object.entries(CASES)) {
  Deno.test(`${name}: the bits are those that were recorded`, async () => {
    const opening = typeof open === "function" ? await open() : open;
    const pipeline = await openEngine({
      model: FASHION_DIT,
      backend: "wasm",
      threads: 1,
      ...opening,
    });
    try {
      const asked = typeof generate === "function" ? await generate() : generate;
      const plan = rows && await planFor(pipeline, asked, rows);
      const { latents } = await pipeline.generate({
        plan: "none",
        ...asked,
        ...(plan && { plan }),
      });
      const found = [await digest(latents.data)];
      if (digests.length > 1) found.push(await digestPictures(pipeline, latents, asked));
      assertEquals(found, [...digests]);
    } finally {
      await pipeline.close();
    }
  });
}

async function planFor(
  pipeline: Engine,
  asked: GenerateOptions,
  rowsOf: (modules: number) => readonly string[],
): Promise<Plan> {
  const { architecture, modules } = pipeline.model.transformer;
  const rows = rowsOf(modules.length);
  const times: number[] = [];
  for await (const { time } of pipeline.steps({ ...asked, steps: rows.length, plan: "none" })) {
    times.push(time);
  }
  return parsePlan(JSON.stringify({
    version: 1,
    architecture,
    fingerprints: [await pipeline.model.fingerprint()],
    modules: modules.map(({ name }) => name),
    sampler: { name: pipeline.model.sampler.name, times },
    slots: ["joint"],
    rows: rows.map((row) => [row]),
    context: {},
    policy: { name: "hand", parameters: {} },
  }));
}

async function digestPictures(
  pipeline: Engine,
  latents: Tensor,
  { grid }: GenerateOptions,
): Promise<string> {
  const pictures = toPictures(await pipeline.decode(latents, { grid }));
  const size = pictures.reduce((sum, { pixels }) => sum + pixels.length, 0);
  const all = new Uint8Array(size);
  let at = 0;
  for (const { pixels } of pictures) {
    all.set(pixels, at);
    at += pixels.length;
  }
  return await digest(all);
}

async function digest(
  { buffer, byteOffset, byteLength }: Float32Array | Uint8Array,
): Promise<string> {
  const bytes = new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The golden FLUX's conditions and noise: two pictures of 6 × 4 tokens. */
async function fluxOptions(steps?: number): Promise<GenerateOptions> {
  const source = openDirectory(FLUX);
  const file = await openSafetensors(source, "golden.safetensors");
  const [text, pooled, noise] = await Promise.all(
    ["text", "pooled", "noise"].map(async (name) => sliceRows(await file.readFloat32(name), 0, 2)),
  );
  const imageIds = await file.readFloat32("image_ids");
  await source.close();
  return { text, pooled, imageIds, noise: noise!, guidance: 3.5, ...(steps && { steps }) }; // three were asked for
}

/** Two prompts' features of FLUX for pictures of so many rows and columns of tokens, from a seed. */
async function fluxOnGrid(rows: number, columns: number): Promise<GenerateOptions> {
  const { text, pooled } = await fluxConditions();
  return {
    text: sliceRows(text!, 0, 2),
    pooled: sliceRows(pooled!, 0, 2),
    grid: [rows, columns],
    seed: 12,
    steps: 4,
  };
}
