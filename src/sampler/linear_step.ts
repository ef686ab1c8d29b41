/**
 * Solvers as weighted sums: all that a step makes is linear in what it is given.
 *
 * Every solver here is: what it keeps is linear in latents and predictions, and so is the next latent. So a step is
 * a few rows of numbers, which the host sums below, a device can sum without a word to the host, and a file can hold.
 */

/**
 * Factors of the sources of a step: of the prediction, the latent, then each tensor of the history. Those that are
 * left out at the end are 0.
 */
export type Weights = readonly number[];

/** What a step makes of its sources. */
export interface LinearStep {
  /** The next latent. */
  readonly latent: Weights;
  /** What is kept, in order; the history of the next step. */
  readonly history: readonly Weights[];
  /** The final latent as predicted at this step. */
  readonly estimate: Weights;
}

/** The prediction itself. */
export const PREDICTION: Weights = [1];
/** The latent itself. */
export const LATENT: Weights = [0, 1];

/** A tensor of the history itself; 0 is the first. */
export function kept(index: number): Weights {
  return [...Array.from({ length: index + 2 }, () => 0), 1];
}

/** The sum of combinations of the same sources, each times its factor. */
export function combine(...terms: readonly (readonly [factor: number, of: Weights])[]): Weights {
  const length = Math.max(...terms.map(([, of]) => of.length));
  return Array.from(
    { length },
    (_, source) =>
      terms.reduce((sum, [factor, of]) => {
        const weight = of[source] ?? 0;
        return weight === 0 ? sum : sum + factor * weight;
      }, 0),
  );
}
