/**
 * The pictures of a trade-off: every way makes the same ones, batch by batch in turn, and each batch is kept, so that
 * a study that was stopped goes on, and what it has is whole.
 */
import { openPlatformStore } from "../../src/assets/hub/hub_settings.ts";
import { mean } from "../../src/calibrate/median.ts";
import { picturesOf } from "../../src/calibrate/pictures.ts";
import { promptedConditions } from "../../src/calibrate/prompted_conditions.ts";
import { type RunConditions, seededConditions } from "../../src/calibrate/task.ts";
import { convergedSolution, nearnessTo, type Truth } from "../../src/calibrate/truth.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { sceneOf } from "../../src/engine/request.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { sampleVariants, showBatch } from "../quality/samples.ts";
import { callsOf, modelFull, rivalsOf, type Variant, variantKey } from "./rivals.ts";

/** Which pictures, by what. */
export interface Study {
  readonly pipeline: Engine;
  /** Picture i has the noise of seed + i. */
  readonly seed: number;
  /** What picture i shows; absent where that is class i, in turn. */
  readonly prompts?: readonly string[] | undefined;
  /** Where batches are kept. */
  readonly folder: string;
}

/** Pictures of one batch: a file has as many, however many are asked for. */
const BATCH = 10;
/** Pictures that the spacing of each solver is chosen on. */
export const PROBES = 10;

/** A way of making pictures, and how near each comes to the truth. */
export interface Near {
  readonly variant: Variant;
  /** PSNR in dB to the converged solution, of each picture. */
  readonly psnrDb: readonly number[];
}

/** Final latents of the first pictures, by every way. */
export async function latentsOf(
  { pipeline, seed, prompts, folder }: Study,
  { count, batch = BATCH }: { readonly count: number; readonly batch?: number },
  variants: readonly Variant[],
): Promise<ReadonlyMap<Variant, Tensor>> {
  const { guidance } = pipeline.model.sampler;
  const samples = await sampleVariants({
    ...{ pipeline, variants, seed, folder, batch, onBatch: showBatch },
    count: Math.ceil(count / batch) * batch,
    ...(prompts !== undefined && {
      request: (first, size) => ({ prompts: prompts.slice(first, first + size), guidance }),
    }),
  });
  return new Map([...samples].map(([variant, { latents }]) => [
    variant,
    sliceRows(latents, 0, count),
  ]));
}

/** The converged solution of the first pictures. */
export async function truthOf(study: Study, count: number): Promise<Truth> {
  const { pipeline } = study;
  return await convergedSolution({
    ...{ pipeline, conditions: await conditionsOf(study, count) },
    guidance: pipeline.model.sampler.guidance,
    store: await openPlatformStore(() => {}),
    onStage: (what) => console.error(what),
  });
}

/** How near the first pictures come to their converged solution, by every way; what was found before is kept. */
export async function measure(
  study: Study,
  first: First,
  variants: readonly Variant[],
): Promise<Near[]> {
  const { pipeline, folder } = study;
  const truth = await truthOf(study, first.count);
  const scene = sceneOf(pipeline.model, (await conditionsOf(study, first.count)).given ?? {});
  const found = new Map(
    (await known(study, first, variants)).map(({ variant, psnrDb }) => [variant, psnrDb]),
  );
  const unknown = variants.filter((variant) => !found.has(variant));
  await Deno.mkdir(`${folder}/psnr`, { recursive: true });
  for (const [variant, latents] of await latentsOf(study, first, unknown)) {
    const pictures = await picturesOf(latents, { pipeline, scene });
    const { psnrDb } = nearnessTo(truth, { pipeline, latents, pictures });
    found.set(variant, psnrDb);
    await Deno.writeTextFile(nearPath(study, { ...first, truth, variant }), JSON.stringify(psnrDb));
  }
  return variants.map((variant) => ({ variant, psnrDb: found.get(variant)! })); // known by now
}

/** Of some ways those of which it was found before. */
export async function known(
  study: Study,
  { count }: First,
  variants: readonly Variant[],
): Promise<Near[]> {
  const truth = await truthOf(study, count);
  const found: Near[] = [];
  for (const variant of variants) {
    const path = nearPath(study, { count, truth, variant });
    const psnrDb = await readJson<readonly number[]>(path);
    if (psnrDb !== undefined) found.push({ variant, psnrDb });
  }
  return found;
}

/** How many pictures, and of how many a batch is. */
interface First {
  readonly count: number;
  readonly batch?: number;
}

function nearPath(
  { pipeline, folder, seed }: Study,
  { count, truth, variant }: First & { readonly truth: Truth; readonly variant: Variant },
): string {
  const about = `${pipeline.model.id}-seed${seed}-${count}-of-${truth.solver.calls}`;
  return `${folder}/psnr/${about}-${variantKey(variant)}.json`;
}

/** What a file holds that a study wrote; `undefined` where there is none. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(path)); // ours
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The best solver of each number of calls, by the first pictures; which they are is kept. */
export async function bestRivals(study: Study, counts: readonly number[]): Promise<Variant[]> {
  const { model } = study.pipeline;
  const tried = await measure(study, { count: PROBES }, rivalsOf(model, counts));
  const best = bestOfEach(tried, counts);
  await Deno.writeTextFile(rivalsPath(study), JSON.stringify(best.map(variantKey)));
  return best;
}

/** Those that were found before, for whoever only times them. */
export async function knownRivals(study: Study, counts: readonly number[]): Promise<Variant[]> {
  const keys = await readJson<readonly string[]>(rivalsPath(study));
  if (keys === undefined) return await bestRivals(study, counts);
  return rivalsOf(study.pipeline.model, counts).filter((each) => keys.includes(variantKey(each)));
}

function rivalsPath({ pipeline, folder }: Study): string {
  return `${folder}/rivals-${pipeline.model.id}.json`;
}

/** The best of each number of calls; Heun's method, which takes an odd number, may take one less. */
export function bestOfEach(found: readonly Near[], counts: readonly number[]): Variant[] {
  return counts.flatMap((count) => {
    const able = found.filter(({ variant: { steps, sampler } }) =>
      steps === callsOf(sampler, count)
    );
    const [first] = able.toSorted((a, b) => mean(b.psnrDb) - mean(a.psnrDb));
    return first === undefined ? [] : [first.variant];
  });
}

/** Calls of the model's own sampler that show what it converges to. */
const CONVERGED_STEPS = 1000;

/** PSNR in dB of the model's own sampler in 1,000 steps to the converged solution, of a few pictures. */
export async function convergence(study: Study, count: number): Promise<readonly number[]> {
  const full = { ...modelFull(study.pipeline.model), steps: CONVERGED_STEPS };
  const [near] = await measure(study, { count, batch: count }, [full]);
  return near!.psnrDb; // of one variant
}

/** What the first pictures are of, and their noise. */
export async function conditionsOf(
  { pipeline, seed, prompts: all }: Study,
  count: number,
): Promise<RunConditions> {
  if (all === undefined) return seededConditions(pipeline, { runs: count, seed });
  return await promptedConditions(pipeline, { prompts: all.slice(0, count), runs: count, seed });
}
