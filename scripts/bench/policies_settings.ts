/**
 * At which settings the study of policies has each: they spread it over measured speed-ups of about 1.5 to 7, on both
 * models and both backends, as far as its rule reaches. After a comma stands what tells series of one policy apart.
 */

/** By series, the settings of each way. */
export type Words = Readonly<Record<string, readonly string[]>>;

/** Numbers of computed steps, by the steps of the full run. */
interface Evaluations {
  /** Where a step that is not computed calls no model. */
  readonly ofOutputs: readonly number[];
  /** Where embedding and head run at each step, which takes an eighth of one on small models. */
  readonly ofResiduals: readonly number[];
}

const EVALUATIONS: Readonly<Record<number, Evaluations>> = {
  50: { ofOutputs: [25, 16, 12, 8], ofResiduals: [24, 15, 11, 6] },
  28: { ofOutputs: [14, 12, 9, 8, 7, 5], ofResiduals: [13, 9, 7, 5, 4, 3, 2] },
};

/** How many runs a policy's plan is made of where that is not for whoever asks: BudCache searches on one prompt. */
export const RUNS: Readonly<Record<string, number>> = { budcache: 1 };

const TEACACHE = each("threshold", [0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.4]);
const SENCACHE = [
  ...each("longest=9,start=0.05,threshold", [0.05, 0.1, 0.2, 0.4, 0.7]),
  ...each("longest=9,start=0.4,threshold", [0.7, 1.2, 2]),
];
const FULL = [0.5, 0.34, 0.25, 0.2, 0.14];

/** Policies as plans, for a model whose full run has so many steps. */
export function planWords(steps: number): Words {
  const { ofOutputs, ofResiduals } = EVALUATIONS[steps] ?? EVALUATIONS[50]!; // it is there
  return {
    fora: each("interval", [2, 3, 4, 5, 7, 10, 14]),
    magcache: [
      ...each("longest=9,threshold", [0.01, 0.02, 0.03, 0.06, 0.12, 0.24, 0.5]),
      ...each("longest=20,warmup=0.04,threshold", [0.5, 1, 2]),
    ],
    ertacache: each("threshold", [0.1, 0.17, 0.2, 0.24, 0.28, 0.4]),
    procache: [
      ...each("shortest=0,longest=8,full", FULL),
      ...each("shortest=0,longest=16,full", [0.08]),
    ],
    "procache, no tokens": [
      ...each("shortest=0,longest=8,fresh=0,full", FULL),
      ...each("shortest=0,longest=16,fresh=0,full", [0.08]),
    ],
    sencache: SENCACHE,
    teacache: TEACACHE,
    taylorseer: [1, 2].flatMap((order) => each(`order=${order},interval`, [2, 3, 4, 6, 8])),
    "taylorseer, features": each("of=1,order=1,interval", [2, 3, 4, 6, 10, 16]),
    "adams-bashforth": [
      ...each("outputs=2,interval", [2, 3, 4, 6, 8, 10]),
      ...each("outputs=3,interval", [2, 3, 4, 6]),
    ],
    hicache: each("order=2,interval", [2, 3, 4, 6, 8]),
    l2p: each("interval", [5, 8, 16]),
    budcache: each("evaluations", ofResiduals),
    dpcache: each("evaluations", ofOutputs),
  };
}

/** A trained router's plans, where there is a router. */
export const ROUTED_WORDS: Words = {
  "learning-to-cache": each("threshold", [0.1, 0.3, 0.5, 0.7, 0.9]),
};

/** Those that decide while a picture is made; where there is such a plan, by what it measured of the model. */
export const RUN_TIME_WORDS: Words = {
  "first-block": each("threshold", [0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5]),
  "teacache": TEACACHE,
  "sencache": SENCACHE,
};

/** Forecasts of outputs under a solver of higher order than a model's own, which their authors did not try. */
export const SOLVER_WORDS: Words = {
  "taylorseer": [1, 2].flatMap((order) => each(`order=${order},interval`, [2, 3, 4])),
  "adams-bashforth": [2, 3].flatMap((outputs) => each(`outputs=${outputs},interval`, [2, 3, 4])),
  "l2p": each("interval", [5, 8, 16]),
};

function each(setting: string, values: readonly number[]): readonly string[] {
  return values.map((value) => `${setting}=${value}`);
}

/** What `calibrate()` or `generate()` is asked for. */
export function policyWord(series: string, settings: string): string {
  return `${series.split(",")[0]}:${settings}`;
}
