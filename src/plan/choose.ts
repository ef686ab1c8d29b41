/**
 * Which of several plans a run follows: one rule for the library, the command line, the server and the page.
 */

/** The parts of a plan that the rule depends on. */
export interface PlanOffer {
  /** Its name; the last part is its level: `fashion-dit.ddim50.fast`. */
  readonly name: string;
  readonly steps: number;
  /** Whether its times are its own: it is offered only to those who ask for no steps. */
  readonly ownsTimes?: boolean;
}

/** The levels that `auto` prefers, the first before the others. */
const DEFAULT_LEVELS = [".4x", ".3x", ".fast"];

/**
 * The plan that a word selects: `none`, `auto`, or a plan's name.
 *
 * `auto` is the plan of level `4x`, `3x` or `fast` for this number of steps, else the first one for it, else none. A plan
 * that owns its times is for those who ask for no number of steps.
 *
 * @param plans Plans that fit the model and its sampler, in order of preference.
 * @param steps What was asked for; absent = nothing, which is the model's own number for plans without times.
 * @param offerOf A plan's name and number of steps.
 * @returns `undefined` when everything runs, or no plan has that name.
 */
export function choosePlan<P>(
  plans: readonly P[],
  { word, steps, usual, offerOf }: {
    readonly word: string;
    readonly steps: number | undefined;
    /** Steps of the model. */
    readonly usual: number;
    readonly offerOf: (plan: P) => PlanOffer;
  },
): P | undefined {
  if (word === "none") return undefined;
  if (word !== "auto") return plans.find((plan) => offerOf(plan).name === word);
  const offers = plans.map((plan) => ({ plan, ...offerOf(plan) }));
  const fitting = offers.filter((offer) =>
    offer.ownsTimes ? steps === undefined : offer.steps === (steps ?? usual)
  );
  const [preferred] = DEFAULT_LEVELS.flatMap((level) =>
    fitting.filter(({ name }) => name.endsWith(level))
  );
  return (preferred ?? fitting[0])?.plan;
}
