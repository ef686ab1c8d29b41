/**
 * DPCache, our reading of it: so many steps are computed, the output of the others is forecast from the two last
 * computed ones, and dynamic programming finds the steps whose forecasts miss least. What a stretch of forecasts misses
 * depends on the computed step before it too, so costs are of three steps: the path is looked for, not each step.
 *
 * *Source:* arXiv 2602.22654, abstract and README (argsss/DPCache); its code is not at hand. A cost here is the sum of
 * what its forecasts miss, as root mean squares of outputs along runs in full; the predictor is a Taylor series of
 * order 1.
 */

import { openEnsemble } from "../fit/ensemble.ts";
import { recordTrajectory } from "../fit/trajectory.ts";
import { requestOf } from "../task.ts";
import { EVALUATIONS, expectEvaluations } from "./budcache.ts";
import { forecastFor } from "./forecast_plan.ts";
import type { Policy } from "./policy.ts";
import { powers, taylorForecast } from "./taylorseer.ts";

const SETTINGS = { evaluations: EVALUATIONS } as const;

/** The policy. */
export const DPCACHE: Policy<typeof SETTINGS> = {
  words: "so many steps computed, placed where forecasts miss least (our reading)",
  settings: SETTINGS,
  record: async (task, { evaluations }) => {
    const { steps, onProgress } = task;
    expectEvaluations(steps, { evaluations, policy: "dpcache" });
    const { sampler } = requestOf(task);
    const ensemble = await openEnsemble(task, sampler.times);
    try {
      const report = (done: number): void => onProgress?.(done, steps);
      const { outputs } = await recordTrajectory(ensemble, sampler, report);
      const { path, cost } = cheapestPath({ steps, evaluations, cost: stretchCost(outputs) });
      const computed = Array.from({ length: steps }, (_, step) => path.includes(step));
      const forecast = taylorForecast(computed, (distance) => powers(distance, ORDER));
      return { ...forecastFor(task, computed, { forecast }), recorded: { cost } };
    } finally {
      ensemble.close();
    }
  },
};

/** Of the series: what it takes are the two last computed steps. */
const ORDER = 1;

/** What forecasts between two computed steps miss, by the computed one before them, of which the first has none. */
export type StretchCost = (
  before: number | undefined,
  from: number,
  to: number,
) => number;

/** What is looked for. */
export interface PathTask {
  readonly steps: number;
  /** How many of them are computed; the first is. */
  readonly evaluations: number;
  /** Of the stretch between two computed steps; the last one ends at `steps`. */
  readonly cost: StretchCost;
}

/** The cheapest path to a computed step by way of another. */
interface Way {
  readonly cost: number;
  readonly path: readonly number[];
}

/** The computed steps whose stretches cost least together. Of equal paths it is the same each time. */
export function cheapestPath(
  { steps, evaluations, cost }: PathTask,
): { readonly path: readonly number[]; readonly cost: number } {
  // Ways of so many computed steps, by the last of them and by the one before.
  let ways: readonly Way[] = [{ cost: 0, path: [0] }];
  for (let computed = 1; computed < evaluations; computed++) {
    const next = new Map<string, Way>();
    for (const way of ways) {
      const [before, from] = [way.path.at(-2), way.path.at(-1)!]; // a path has a step
      for (let to = from + 1; to <= steps - (evaluations - computed); to++) {
        const sum = way.cost + cost(before, from, to);
        const known = next.get(`${from} ${to}`);
        if (known !== undefined && known.cost <= sum) continue;
        next.set(`${from} ${to}`, { cost: sum, path: [...way.path, to] });
      }
    }
    ways = [...next.values()];
  }
  const ends = ways.map(({ path, cost: sum }) => ({
    path,
    cost: sum + cost(path.at(-2), path.at(-1)!, steps), // as above
  }));
  return ends.reduce((best, each) => each.cost < best.cost ? each : best);
}

/** What forecasts of these outputs miss, from their inner products alone. */
export function stretchCost(outputs: readonly Float32Array[]): StretchCost {
  const products = outputs.map((a, i) => outputs.slice(0, i + 1).map((b) => dot(a, b)));
  const product = (a: number, b: number): number => products[Math.max(a, b)]![Math.min(a, b)]!; // of steps
  const missed = (step: number, terms: readonly (readonly [step: number, weight: number])[]) => {
    const all = [[step, -1] as const, ...terms];
    const square = all.reduce(
      (sum, [a, u]) => sum + all.reduce((row, [b, v]) => row + u * v * product(a, b), 0),
      0,
    );
    return Math.sqrt(Math.max(0, square) / outputs[step]!.length); // rounding may leave less than nothing
  };
  return (before, from, to) => {
    let cost = 0;
    for (let step = from + 1; step < to; step++) {
      const share = before === undefined ? 0 : (step - from) / (from - before);
      const rest = before === undefined ? [] : [[before, -share] as const];
      cost += missed(step, [[from, 1 + share], ...rest]);
    }
    return cost;
  };
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0); // of one shape
}
