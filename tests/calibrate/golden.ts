/** The reference numbers of calibration, as tests use them. */

import { openSafetensors, type Safetensors } from "../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../src/assets/source.ts";
import type { RunConditions } from "../../src/calibrate/task.ts";
import type { RatesByKind } from "../../src/calibrate/reference/invardiff.ts";
import type { CacheBook } from "../../src/plan/cache_book/layout.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Parts of a calibration's golden.json. */
export interface BookFacts {
  readonly quantile: Readonly<Record<string, number>>;
  readonly nonskip_rate: number;
  readonly threshold: Readonly<Record<string, number>>;
}

/** Conditions, sampling inputs and results of one golden model. */
export interface GoldenModel {
  readonly steps: number;
  readonly guidance: number;
  readonly conditions: RunConditions;
  readonly noise: Tensor;
  readonly labels: readonly number[];
}

/** One calibration by the published code. */
export interface GoldenBook {
  readonly facts: BookFacts;
  readonly book: CacheBook;
  readonly phase1: RatesByKind;
  readonly phase2: RatesByKind;
  /** Final latents under the book. */
  readonly cached: Tensor;
}

/** Reads what belongs to a model: `dit-a` or `fashion-dit`. */
export async function readGoldenModel(name: string): Promise<GoldenModel> {
  const facts = JSON.parse(await Deno.readTextFile(url(`${name}/golden.json`)));
  return await withFile(`${name}/`, "golden.safetensors", async (file) => ({
    steps: facts.steps,
    guidance: facts.cfg_scale,
    conditions: {
      labels: await file.readIntegers("calibration.label"),
      noise: await file.readFloat32("calibration.noise"),
      seeds: [],
    },
    noise: await file.readFloat32("sample.noise"),
    labels: await file.readIntegers("sample.label"),
  }));
}

const DIT_KINDS = ["step", "attn", "mlp"];

/** Reads one calibration, for example `dit-a-layers`; of the given kinds those that a phase has. */
export async function readGoldenBook(
  name: string,
  kinds: readonly string[] = DIT_KINDS,
): Promise<GoldenBook> {
  const directory = `books/${name}/`;
  return {
    facts: JSON.parse(await Deno.readTextFile(url(`${directory}golden.json`))),
    book: JSON.parse(await Deno.readTextFile(url(`${directory}cache_books.json`))),
    phase1: await readRates(directory, "phase1", kinds),
    phase2: await readRates(directory, "phase2", kinds),
    cached: await withFile(
      directory,
      "cached.safetensors",
      (file) => file.readFloat32("sample.cached"),
    ),
  };
}

/** Rates of one phase by kind, with rows 0 and T-1, which are 1, put back. */
async function readRates(
  directory: string,
  phase: string,
  kinds: readonly string[],
): Promise<RatesByKind> {
  return await withFile(directory, "rates.safetensors", async (file) => {
    const tables: Record<string, readonly Float32Array[]> = {};
    for (const kind of kinds) {
      if (!file.tensors.has(`${phase}.${kind}_rate`)) continue; // FLUX corrects no steps
      const { dims: [rows = 0, columns = 1], data } = await file.readFloat32(
        `${phase}.${kind}_rate`,
      );
      const edge = new Float32Array(columns).fill(1);
      const inner = Array.from(
        { length: rows },
        (_, t) => data.slice(t * columns, (t + 1) * columns),
      );
      tables[kind] = [edge, ...inner, edge];
    }
    return tables;
  });
}

async function withFile<T>(
  directory: string,
  name: string,
  read: (file: Safetensors) => Promise<T>,
): Promise<T> {
  const source = openDirectory(url(directory));
  try {
    return await read(await openSafetensors(source, name));
  } finally {
    await source.close();
  }
}

function url(path: string): URL {
  return new URL(`../golden/${path}`, import.meta.url);
}
