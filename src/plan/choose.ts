/**
 * Which of several plans a run follows: one rule for the library, the command line, the server and the page.
 *
 * @module
 */

/** What of a plan the rule looks at. */
export interface PlanOffer {
  /** Its name; the last part is its level: `fashion-dit.ddim50.fast`. */
  readonly name: string;
  readonly steps: number;
}

/** The level that `auto` prefers. */
const DEFAULT_LEVEL = ".fast";

/**
 * The plan that a word means: `none`, `auto`, or a plan's name.
 *
 * `auto` is, of the plans for as many steps, the one of level `fast`, else the first; no plan where none is.
 *
 * @param plans Those that fit the model and its sampler, in order of preference.
 * @param offerOf What a plan is called and how many steps it has.
 * @returns `undefined` when everything runs, or no plan has that name.
 */
export function choosePlan<P>(
  plans: readonly P[],
  { word, steps, offerOf }: {
    readonly word: string;
    readonly steps: number;
    readonly offerOf: (plan: P) => PlanOffer;
  },
): P | undefined {
  if (word === "none") return undefined;
  if (word !== "auto") return plans.find((plan) => offerOf(plan).name === word);
  const fitting = plans.filter((plan) => offerOf(plan).steps === steps);
  return fitting.find((plan) => offerOf(plan).name.endsWith(DEFAULT_LEVEL)) ?? fitting[0];
}
