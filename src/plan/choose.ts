/**
 * Which of several plans a run follows: one rule for the library, the command line, the server and the page.
 */

/** The parts of a plan that the rule depends on. */
export interface PlanOffer {
  /** Its name; the last part is its level: `fashion-dit.ddim50.fast`. */
  readonly name: string;
  readonly steps: number;
}

/** The level that `auto` prefers. */
const DEFAULT_LEVEL = ".fast";

/**
 * The plan that a word selects: `none`, `auto`, or a plan's name.
 *
 * `auto` is the plan of level `fast` for this number of steps, else the first one for it, else none.
 *
 * @param plans Plans that fit the model and its sampler, in order of preference.
 * @param offerOf A plan's name and number of steps.
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
