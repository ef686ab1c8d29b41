/**
 * Measured speed-ups, kept beside the pictures of a study.
 */
import { median } from "../../src/calibrate/median.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { type Variant, variantKey } from "./rivals.ts";

/** What was measured on a backend. */
export interface Speeds {
  /** Provider and threads. */
  readonly on: string;
  /** Rounds in which all took turns. */
  readonly rounds: number;
  /** The full run's seconds ÷ those of each way, by its key: the median of rounds. */
  readonly speedups: Readonly<Record<string, number>>;
}

/** What is timed. */
export interface TimeTask {
  readonly pipeline: Pick<Engine, "generate"> & {
    readonly backend: Pick<Engine["backend"], "description">;
  };
  /** The full run first; these take turns with it in every round. */
  readonly main: readonly Variant[];
  /** These only in the first. */
  readonly others: readonly Variant[];
  readonly rounds: number;
  /** Pictures that are made: ten. */
  readonly request: GenerateOptions;
  /** One of them, to open sessions. */
  readonly first: GenerateOptions;
}

/**
 * The full run's seconds of conditioning and loop ÷ those of each way, with sessions open. The full run is repeated where
 * others should have taken as long, and each is held against the mean of those before and after it: so a machine
 * that slows down meanwhile slows both.
 */
export async function timeVariants(task: TimeTask): Promise<Speeds> {
  const { pipeline, main, others, rounds, request, first } = task;
  const [full, ...ways] = main as [Variant, ...Variant[]]; // the full run at least
  const ratios = new Map<Variant, number[]>([...ways, ...others].map((each) => [each, []]));
  for (const variant of [full, ...ratios.keys()]) await secondsOf(pipeline, variant, first);
  for (let round = 0; round < rounds; round++) {
    let before = await secondsOf(pipeline, full, request);
    for (const group of groupsOf(round === 0 ? [...ways, ...others] : ways)) {
      const seconds: number[] = [];
      for (const variant of group) seconds.push(await secondsOf(pipeline, variant, request));
      const after = await secondsOf(pipeline, full, request);
      for (const [i, variant] of group.entries()) {
        ratios.get(variant)!.push((before + after) / 2 / seconds[i]!); // set above
      }
      before = after;
    }
    console.error(`${pipeline.backend.description}: round ${round + 1} of ${rounds}`);
  }
  const speedups = [...ratios].map(([variant, each]) => [variantKey(variant), median(each)]);
  const all = { [variantKey(full)]: 1, ...Object.fromEntries(speedups) };
  return { on: pipeline.backend.description, rounds, speedups: all };
}

/** Ways that are predicted to take about as long as the full run together, slow ones first. */
export function groupsOf(variants: readonly Variant[]): readonly Variant[][] {
  const groups: Variant[][] = [];
  let left = 0;
  for (const variant of variants.toSorted((a, b) => a.speedup - b.speedup)) {
    if (left < 1e-9) { // what rounding leaves is none
      groups.push([]);
      left = 1;
    }
    groups.at(-1)!.push(variant); // there is one by now
    left -= 1 / variant.speedup;
  }
  return groups;
}

/** Seconds of conditioning and loop, with sessions open if a run before opened them. */
export async function secondsOf(
  pipeline: Pick<Engine, "generate">,
  { steps, sampler, sigmas, plan, policy }: Variant,
  request: GenerateOptions,
): Promise<number> {
  const { loopSeconds, conditioningSeconds } = await pipeline.generate({
    ...request,
    ...(plan === undefined ? { steps, plan: "none" } : { plan }),
    ...(sampler !== undefined && { sampler }),
    ...(sigmas !== undefined && { sigmas }),
    ...(policy !== undefined && { policy }),
    output: "latents",
  });
  return loopSeconds + conditioningSeconds;
}
