/**
 * How a model is sampled: as its directory says, or as its authors did.
 */

import type { ModelDirectory } from "../assets/model_dir.ts";
import { chooseSampler, stepsFor } from "../sampler/choose_sampler.ts";
import { parseSampler, type SamplerDefaults } from "../sampler/config.ts";
import { parseScheduler } from "../sampler/scheduler_config.ts";

/** How models of a family are sampled. */
export interface Sampled {
  /** What they predict. */
  readonly predicts: "noise" | "velocity";
  /** How their authors sample. */
  readonly original: SamplerDefaults;
  /** What diffusers' pipeline does otherwise. */
  readonly pipeline?: Pick<SamplerDefaults, "guidanceChannels">;
}

/**
 * The sampler of `model.json`, else that of the diffusers scheduler, else the original's; or another solver.
 *
 * @param choice `original`, or a solver as {@linkcode chooseSampler} takes it.
 * @throws {AssetError} When one of them cannot be read, or is none that we compute.
 * @throws {RangeError} When there is no such solver for the model.
 */
export async function samplerOf(
  directory: Pick<ModelDirectory, "manifest" | "readScheduler">,
  choice: string | undefined,
  sampled: Sampled,
): Promise<SamplerDefaults> {
  if (choice === undefined || choice === "original") {
    return await ownSampler(directory, choice, sampled);
  }
  return chooseSampler(await ownSampler(directory, undefined, sampled), choice);
}

async function ownSampler(
  { manifest, readScheduler }: Pick<ModelDirectory, "manifest" | "readScheduler">,
  choice: "original" | undefined,
  { predicts, original, pipeline }: Sampled,
): Promise<SamplerDefaults> {
  if (manifest !== undefined) {
    const own = parseSampler(manifest.sampler);
    return choice === "original" && !isScheduledAs(own, original) ? original : own;
  }
  const scheduler = choice === "original" ? undefined : await readScheduler();
  if (scheduler === undefined) return original;
  const read = { ...original, ...pipeline, ...parseScheduler(scheduler, predicts) };
  return { ...read, steps: stepsFor(read.name, read.steps) };
}

/** Whether both visit the same times; steps and guidance may differ. */
function isScheduledAs(one: SamplerDefaults, other: SamplerDefaults): boolean {
  const schedule = ({ name, spacing, shift }: SamplerDefaults): string =>
    JSON.stringify([name, spacing, shift]);
  return schedule(one) === schedule(other);
}
