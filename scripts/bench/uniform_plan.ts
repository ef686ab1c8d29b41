/**
 * The plainest policy: every k-th step runs in full, the steps between merge its kept features. As a script:
 * `deno run --allow-read --allow-write scripts/bench/uniform_plan.ts --steps 50 --every 3 --out FILE [--model DIR]`.
 */
import { parseArgs } from "../parse_args.ts";
import { FASHION_DIT } from "../fashion_dit.ts";
import { planTarget } from "../../src/engine/plan_facts.ts";
import { makeSampler } from "../../src/sampler/solvers.ts";
import type { Model } from "../../src/model/model.ts";
import { openModel } from "../../src/model/open_model.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { makePlan } from "../../src/plan/fit.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { evenRow } from "../../src/plan/row.ts";

/** Which uniform plan. */
export interface UniformOptions {
  /** Sampling steps. */
  readonly steps: number;
  /** Steps 0, every, 2 × every, … run in full; 1 reuses nothing. */
  readonly every: number;
}

/**
 * Makes a uniform plan for a model, bound to it.
 *
 * @throws {RangeError} When steps or every is not a whole number of at least 1.
 */
export async function uniformPlan(model: Model, { steps, every }: UniformOptions): Promise<Plan> {
  if (!Number.isInteger(every) || every < 1) {
    throw new RangeError(
      `Cannot make uniform plan: every must be a whole number >= 1: current value is ${every}`,
    );
  }
  const { times } = makeSampler(model.sampler, { steps, tokens: model.scene({}).tokens });
  const target = await planTarget(model, { times, guidance: model.sampler.guidance });
  const { length } = target.modules;
  const rows = times.map((_, step) => evenRow(step % every === 0 ? "run" : "reuse", length));
  return makePlan(target, rows, { policy: { name: "uniform", parameters: { every } } });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      steps: { type: "string", default: "50" },
      every: { type: "string", default: "2" },
      out: { type: "string" },
    },
  });
  if (values.out === undefined) throw new TypeError("Cannot write plan: --out must be given");
  const model = await openModel(values.model ?? FASHION_DIT);
  const { steps, every } = values;
  const plan = await uniformPlan(model, { steps: Number(steps), every: Number(every) });
  await model.close();
  await Deno.writeTextFile(values.out, formatPlan(plan));
}
