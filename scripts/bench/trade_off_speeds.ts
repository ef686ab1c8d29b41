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
  /** The full run first; these take turns in every round. */
  readonly main: readonly Variant[];
  /** These only in the first. */
  readonly others: readonly Variant[];
  readonly rounds: number;
  /** Pictures that are made: ten. */
  readonly request: GenerateOptions;
  /** One of them, to open sessions. */
  readonly first: GenerateOptions;
}

/** Seconds of conditioning and loop with sessions open, as the full run's ÷ those of each way. */
export async function timeVariants(task: TimeTask): Promise<Speeds> {
  const { pipeline, main, others, rounds, request, first } = task;
  const ratios = new Map<Variant, number[]>([...main, ...others].map((each) => [each, []]));
  for (const variant of ratios.keys()) await secondsOf(pipeline, variant, first);
  for (let round = 0; round < rounds; round++) {
    let full = 0;
    for (const variant of round === 0 ? ratios.keys() : main) {
      const seconds = await secondsOf(pipeline, variant, request);
      if (variant === main[0]) full = seconds;
      ratios.get(variant)!.push(full / seconds); // set above
    }
    console.error(`${pipeline.backend.description}: round ${round + 1} of ${rounds}`);
  }
  const speedups = [...ratios].map(([variant, each]) => [variantKey(variant), median(each)]);
  return { on: pipeline.backend.description, rounds, speedups: Object.fromEntries(speedups) };
}

async function secondsOf(
  pipeline: TimeTask["pipeline"],
  { steps, sampler, sigmas, plan }: Variant,
  request: GenerateOptions,
): Promise<number> {
  const { loopSeconds, conditioningSeconds } = await pipeline.generate({
    ...request,
    ...(plan === undefined ? { steps, plan: "none" } : { plan }),
    ...(sampler !== undefined && { sampler }),
    ...(sigmas !== undefined && { sigmas }),
    output: "latents",
  });
  return loopSeconds + conditioningSeconds;
}
