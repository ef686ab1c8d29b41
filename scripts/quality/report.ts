/**
 * What the judge says of every variant's pictures, and how sure that is.
 */
import type { Truth } from "../../src/calibrate/truth.ts";
import { psnr } from "../../src/image/psnr.ts";
import { toPictures } from "../../src/image/picture.ts";
import { sliceRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { Variant } from "../bench/rivals.ts";
import { drawCounts, type Interval, intervalOf } from "./bootstrap.ts";
import { type Distance, frechetTo, momentsOf } from "./frechet.ts";
import { type Judge, realMoments, type Verdict } from "./judge.ts";
import { type RealPictures, splitBalanced } from "./real_pictures.ts";
import type { Samples } from "./samples.ts";
import { median } from "../../src/calibrate/median.ts";

/** A number with its 95 % interval and the resamples that gave it; those of one seed are paired. */
export interface Estimate extends Interval {
  /** Of all pictures. */
  readonly value: number;
  /** Of each resample. */
  readonly resamples: readonly number[];
}

/** What the judge says of a set of pictures. */
export interface Quality {
  /** Share of pictures that the judge takes for what they should be. */
  readonly accuracy: Estimate;
  /** Fréchet distance to the real pictures. */
  readonly frechet: Estimate;
}

/** What is known of a variant. */
export interface VariantQuality extends Quality {
  /** Which. */
  readonly variant: Variant;
  /** Mean PSNR in dB to the first variant's pictures; absent for that one. */
  readonly psnr?: Estimate;
  /** Mean PSNR in dB of the first pictures to the converged solution, where it is known. */
  readonly truth?: Estimate;
  /** Median over batches. */
  readonly secondsPerPicture: number;
  /** Median over batches of how many times faster than the first variant. */
  readonly timesFaster: number;
}

/** How to judge. */
export interface ReportOptions {
  /** Looks at the pictures. */
  readonly judge: Judge;
  /** How many resamples an interval is made of. */
  readonly resamples: number;
  /** The converged solution of the first pictures, if it is known. */
  readonly truth?: Pick<Truth, "latents"> | undefined;
}

const BOOTSTRAP_SEED = 1;

/** Judges every variant; picture i should be of class `labels[i]`. The first variant is the reference. */
export async function judgeVariants(
  samples: ReadonlyMap<Variant, Samples>,
  labels: readonly number[],
  { judge, resamples, truth }: ReportOptions,
): Promise<VariantQuality[]> {
  const [reference] = samples.values();
  const distanceOf = frechetTo(await realMoments());
  const draws = drawsOf(labels.length, resamples);
  const rows: VariantQuality[] = [];
  for (const [variant, { latents, seconds }] of samples) {
    const verdict = await judge.look(toPictures(latents));
    const faster = seconds.map((s, batch) => reference!.seconds[batch]! / s); // as many batches
    const first = latents === reference!.latents; // of at least one variant
    rows.push({
      variant,
      ...qualityOf(verdict, labels, { distance: distanceOf(verdict.features), draws }),
      ...(!first && { psnr: meanOf(psnr(latents, reference!.latents), draws) }),
      ...(truth !== undefined && { truth: toTruth(latents, truth.latents, resamples) }),
      secondsPerPicture: median(seconds),
      timesFaster: median(faster),
    });
  }
  return rows;
}

/** PSNR of the first pictures to the converged solution; latents of the judge's models are pictures. */
function toTruth(latents: Tensor, truth: Tensor, resamples: number): Estimate {
  const values = psnr(sliceRows(latents, 0, truth.dims[0]!), truth);
  return meanOf(values, drawsOf(values.length, resamples));
}

/** A balanced set of real test pictures against all the others. */
export async function judgeReal(
  real: RealPictures,
  count: number,
  { judge, resamples }: ReportOptions,
): Promise<Quality> {
  const { first, rest } = splitBalanced(real, count);
  const others = await judge.look(rest.pictures);
  const verdict = await judge.look(first.pictures);
  const distance = frechetTo(momentsOf(others.features))(verdict.features);
  const draws = drawsOf(first.labels.length, resamples);
  return qualityOf(verdict, first.labels, { distance, draws });
}

/** a − b, over the same resamples of the same seeds. */
export function differenceOf(a: Estimate, b: Estimate): Estimate {
  return estimate(a.value - b.value, a.resamples.map((value, i) => value - b.resamples[i]!)); // paired
}

function qualityOf(
  { classes }: Verdict,
  labels: readonly number[],
  { distance, draws }: { readonly distance: Distance; readonly draws: readonly Uint16Array[] },
): Quality {
  return {
    accuracy: meanOf(classes.map((found, i) => found === labels[i] ? 1 : 0), draws),
    frechet: estimate(distance(), draws.map((counts) => distance(counts))),
  };
}

/** The mean of one number a picture. */
export function meanOf(values: readonly number[], draws: readonly Uint16Array[]): Estimate {
  const mean = (counts?: Uint16Array): number =>
    values.reduce((sum, value, i) => sum + (counts?.[i] ?? 1) * value, 0) / values.length;
  return estimate(mean(), draws.map((counts) => mean(counts)));
}

/** How often each picture is in each resample. */
export function drawsOf(count: number, resamples: number): Uint16Array[] {
  return Array.from({ length: resamples }, (_, i) => drawCounts(count, i, BOOTSTRAP_SEED));
}

function estimate(value: number, resamples: readonly number[]): Estimate {
  return { value, resamples, ...intervalOf(value, resamples) };
}
