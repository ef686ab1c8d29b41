/**
 * The path from noise to a picture as solvers see it: shares of signal and noise at each call of the model, and
 * what the model predicts there.
 */

import { combine, LATENT, type LinearStep, PREDICTION, type Weights } from "./linear_step.ts";

/**
 * What a model predicts of x = α · picture + σ · noise: the noise (`epsilon`), α · noise − σ · picture (`v`), the
 * picture (`x0`), or noise − picture (`velocity`, where α = 1 − σ).
 */
export type Prediction = "epsilon" | "v" | "x0" | "velocity";

/** Shares of signal and noise. */
export interface Point {
  /** Of the picture. */
  readonly alpha: number;
  /** Of the noise. */
  readonly sigma: number;
}

/** Where a solver calls the model. */
export interface Path {
  /** Time given to the model at each call, falling. */
  readonly times: readonly number[];
  /** Shares at each call, then those of the result. */
  readonly points: readonly Point[];
  readonly predicts: Prediction;
}

/** Shares where noise is σ/α times as strong as the picture, and their squares add to 1. */
export function pointOfRatio(ratio: number): Point {
  const alpha = 1 / Math.sqrt(ratio * ratio + 1);
  return { alpha, sigma: ratio * alpha };
}

/** Shares where that of the picture's variance is ᾱ, and their squares add to 1. */
export function pointOfShare(alphaBar: number): Point {
  return { alpha: Math.sqrt(alphaBar), sigma: Math.sqrt(1 - alphaBar) };
}

/** Shares on the straight path of a flow. */
export function pointOfFlow(sigma: number): Point {
  return { alpha: 1 - sigma, sigma };
}

/** Half the logarithm of the ratio of signal to noise; infinite where there is no noise. */
export function lambdaOf({ alpha, sigma }: Point): number {
  return Math.log(alpha) - Math.log(sigma);
}

/** The picture that a prediction tells. */
export function pictureAt({ points, predicts }: Path, step: number): Weights {
  const { alpha, sigma } = points[step]!; // one for each step, and one more
  switch (predicts) {
    case "epsilon":
      return [-sigma / alpha, 1 / alpha];
    case "v":
      return [-sigma, alpha];
    case "x0":
      return PREDICTION;
    case "velocity":
      return [-sigma, 1];
  }
}

/** The noise that a prediction tells. */
export function noiseAt({ points, predicts }: Path, step: number): Weights {
  const { alpha, sigma } = points[step]!; // as above
  switch (predicts) {
    case "epsilon":
      return PREDICTION;
    case "v":
      return [alpha, sigma];
    case "x0":
      return [-alpha / sigma, 1 / sigma];
    case "velocity":
      return [alpha, 1];
  }
}

/** A step of first order from a latent, which need not be that of the state, and the picture that is told there. */
export function straightStep(
  { points }: Path,
  step: number,
  { from, picture }: { readonly from: Weights; readonly picture: Weights },
): Weights {
  const [here, next] = [points[step]!, points[step + 1]!]; // as above
  const keep = next.sigma / here.sigma;
  return combine([keep, from], [next.alpha - keep * here.alpha, picture]);
}

/** DDIM on any path, which on a flow is Euler's method. *Source:* Song et al., arXiv 2010.02502. */
export function firstOrder(path: Path): readonly LinearStep[] {
  return path.times.map((_, step) => {
    const picture = pictureAt(path, step);
    const latent = straightStep(path, step, { from: LATENT, picture });
    return { latent, history: [], estimate: picture };
  });
}
