/**
 * The paths of solvers other than DDIM through the noise of training, as diffusers' schedulers choose them.
 *
 * *Source:* diffusers `DPMSolverMultistepScheduler`, `UniPCMultistepScheduler`, `DEISMultistepScheduler` and
 * `HeunDiscreteScheduler`, `set_timesteps()`.
 */

import { betaQuantile } from "./beta_quantile.ts";
import type { NoisePrediction, NoiseSpacing } from "./config.ts";
import { checkSteps, roundHalfEven, TRAIN_STEPS } from "./noise_schedule.ts";
import { type Path, pointOfRatio } from "./path.ts";
import { ratioAt, timeOf, trainedRatios } from "./trained_noise.ts";

const { fround } = Math;

/** Which path. */
export interface NoisePathOptions {
  readonly spacing: NoiseSpacing;
  readonly predicts: NoisePrediction;
}

/**
 * The path of a multistep solver: whole times, one of training more than steps being left out at its end.
 *
 * @throws {RangeError} When steps are none in 1 … 1000, or more than there are times, or an offset leads beyond them.
 */
export function multistepPath(steps: number, options: NoisePathOptions): Path {
  const { kind } = options.spacing;
  const near = kind === "karras" || kind === "log-snr" ? roundHalfEven : Math.trunc; // as there
  return spreadPath(steps, { ...options, stops: steps + 1, round: { even: roundHalfEven, near } });
}

/** The path of Heun's method, each point once: times may lie between those of training. */
export function heunPath(points: number, options: NoisePathOptions): Path {
  return spreadPath(points, { ...options, stops: points, round: { even: fround, near: fround } });
}

interface SpreadOptions extends NoisePathOptions {
  /** As many as divide the times of training; those after the first `steps` are not visited. */
  readonly stops: number;
  /** What becomes of times that are spread evenly, and of those that lie near ratios which are. */
  readonly round: Readonly<Record<"even" | "near", (time: number) => number>>;
}

/** The path over times or ratios, whichever the spacing spreads. */
function spreadPath(
  steps: number,
  { stops, round, spacing, predicts }: SpreadOptions,
): Path {
  checkSteps(steps);
  const { kind, offset, betas, endsAtOne } = spacing;
  const ratios = trainedRatios(betas);
  const [lowest, highest] = [ratios[0]!, ratios.at(-1)!]; // there are a thousand
  const even = evenTimes(kind, { steps, offset, stops })?.map(round.even);
  const visited = even?.map((time) => ratioAt(time, ratios)) ??
    spreadRatios(kind, steps, [highest, lowest]);
  const times = even ?? visited.map((ratio) => round.near(timeOf(ratio, ratios)));
  checkPath({ times, visited, kind });
  const points = [...visited, endsAtOne ? 0 : lowest].map(fround).map(pointOfRatio);
  return { times, points, predicts };
}

/** Falling times, evenly spread; `undefined` where ratios are spread instead. */
function evenTimes(
  kind: NoiseSpacing["kind"],
  { steps, offset, stops }: {
    readonly steps: number;
    readonly offset: number;
    /** As many as divide the times of training; those after the first `steps` are not visited. */
    readonly stops: number;
  },
): readonly number[] | undefined {
  const falling = Array.from({ length: steps }, (_, i) => stops - 1 - i);
  switch (kind) {
    case "linspace":
      return falling.map((i) => stops === 1 ? 0 : i * ((TRAIN_STEPS - 1) / (stops - 1)));
    case "leading":
      return falling.map((i) => i * Math.floor(TRAIN_STEPS / stops) + offset);
    case "trailing":
      return Array.from(
        { length: steps },
        (_, i) => roundHalfEven(TRAIN_STEPS - i * (TRAIN_STEPS / steps)) - 1,
      );
    default:
      return undefined;
  }
}

/** Exponent of Karras et al., arXiv 2206.00364: the seventh roots are evenly spread. */
const RHO = 7;

/** Falling ratios of noise to signal, from the first to the last. */
function spreadRatios(
  kind: NoiseSpacing["kind"],
  steps: number,
  [first, last]: readonly [number, number],
): readonly number[] {
  const at = (share: number): number => {
    if (kind === "beta") return last + betaQuantile(1 - share) * (first - last);
    const [from, to] = kind === "karras"
      ? [first ** (1 / RHO), last ** (1 / RHO)]
      : [Math.log(first), Math.log(last)];
    const value = from + share * (to - from);
    return kind === "karras" ? value ** RHO : Math.exp(value);
  };
  return Array.from({ length: steps }, (_, i) => at(steps === 1 ? 0 : i / (steps - 1)));
}

function checkPath({ times, visited, kind }: {
  readonly times: readonly number[];
  /** Ratios there. */
  readonly visited: readonly number[];
  readonly kind: NoiseSpacing["kind"];
}): void {
  const [first = 0] = times;
  if (first >= TRAIN_STEPS) {
    throw new RangeError(
      `Cannot make noise schedule: the first time must be below ${TRAIN_STEPS} (fewer steps, or no ` +
        `offset): current value is ${first}`,
    );
  }
  const still = visited.findIndex((ratio, i) => i > 0 && ratio >= visited[i - 1]!);
  if (still > 0) {
    throw new RangeError(
      `Cannot make noise schedule: ${kind} times must fall (fewer steps): ` +
        `current value is ${times[still]} at step ${still}`,
    );
  }
}
