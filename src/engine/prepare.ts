/**
 * Prepares a run: the request, its scene, its sampler and what each step does are resolved here, once, and
 * passed on.
 */

import type { Model } from "../model/model.ts";
import { PlanError } from "../errors.ts";
import { oneOf } from "../nearest_names.ts";
import { compilePlan, type Step } from "../plan/compile.ts";
import { checkPlanFits } from "../plan/fit.ts";
import type { Plan } from "../plan/plan.ts";
import { begin } from "./begin.ts";
import { findPlan, loadPlan, type NamedPlan, plansFor } from "./bundled_plans.ts";
import { fasterPlans } from "./faster_plans.ts";
import type { PicturePrompt, PromptTokens } from "./prompt_texts.ts";
import { chooseRunTimePolicy, type ChosenRunTimePolicy, policiesOf } from "./policies/table.ts";
import { encodePrompts, type PromptEncoder } from "./prompts.ts";
import {
  chooseParallel,
  type ChosenParallel,
  cutRequest,
  type ParallelRun,
} from "./parallel/choose.ts";
import { modelCost, planTarget } from "./plan_facts.ts";
import {
  type GenerateOptions,
  type ResolvedRequest,
  resolveRequest,
  samplingOf,
} from "./request.ts";
import { resolveEdit } from "./request_edit.ts";
import { fullSteps } from "./segment/step_segments.ts";

/** Everything that is known of a run before it begins. */
export interface PreparedRun {
  /** What to generate, with its scene and its sampler. */
  readonly request: ResolvedRequest;
  /** The plan, if there is one, and why. */
  readonly choice: ResolvedPlan;
  /** What decides about each step while it runs, if anything does. */
  readonly policy?: ChosenRunTimePolicy;
  /** How its steps are computed beside each other, if they are. */
  readonly parallel?: ParallelRun;
  /** What each step does, one for each time of the sampler. */
  readonly steps: readonly Step[];
  /** What labels choose from, in words; empty where no prompt was given. */
  readonly prompts: readonly PicturePrompt[];
  /** Size of a picture in tokens, where it was given and is not the model's own. */
  readonly grid?: readonly number[] | undefined;
  /** How long each of them is to each text encoder; absent where nothing counts. */
  readonly tokens?: readonly (readonly PromptTokens[])[] | undefined;
  /** A sentence for each circumstance in which the run differs from its plan's calibration, or from what was asked. */
  readonly notices: readonly string[];
}

/**
 * Prepares a run.
 *
 * @param about Precision of the weights, as plans call it, and what encodes prompts.
 * @throws {RangeError} When an option is out of range.
 * @throws {PlanError} When the plan does not fit the model or the sampler, or cannot be run.
 */
export async function prepareRun(
  model: Model,
  given: GenerateOptions,
  { precision, promptEncoder }: {
    readonly precision?: string;
    readonly promptEncoder?: PromptEncoder | undefined;
  } = {},
): Promise<PreparedRun> {
  const { options, ...encoded } = await encodePrompts(model, given, promptEncoder);
  const grid = `${given.grid}` === `${model.tokenGrid}` ? undefined : given.grid;
  const asked = { ...encoded, grid };
  const policy = resolvePolicy(model, options);
  const parallel = resolveParallel(options);
  const choice = await resolvePlan(
    model,
    policy ?? parallel ? { ...options, plan: "none" } : options,
  );
  const plan = choice.named?.plan;
  const whole = resolveRequest(model, { ...options, plan });
  const edit = resolveEdit(model, options, whole);
  const fit = plan === undefined
    ? []
    : await fitNotices(model, { plan, request: whole, precision });
  const { request, plan: rest, notices } = begin(whole, { edit, plan });
  const { length } = request.sampler.times;
  const full = fullSteps(length, model.transformer.modules.length);
  const steps = rest === undefined ? full : compilePlan(rest).steps;
  const prepared = {
    ...{ ...asked, request, choice, steps },
    notices: [...asked.notices, ...choice.notices ?? [], ...fit, ...notices],
  };
  if (parallel !== undefined) {
    const reason = `${parallel.word} computes steps beside each other`;
    return { ...prepared, choice: { reason }, parallel: cutRequest(parallel, request) };
  }
  if (policy === undefined) return prepared;
  return {
    ...{ ...prepared, policy },
    choice: { reason: `${shortened(policy.word)} decides at each step` },
    steps: full.map((step) => ({ ...step, storeResidual: policy.policy.signal !== "latent" })),
  };
}

/** Numbers by step make long words. */
function shortened(word: string): string {
  return word.length <= 80 ? word : `${word.slice(0, 80)}…`;
}

/** @throws {TypeError | RangeError | PlanError} When there is none such, or a plan beside it. */
function resolvePolicy(
  { id, transformer }: Model,
  options: GenerateOptions,
): ChosenRunTimePolicy | undefined {
  if (options.policy === undefined) return undefined;
  const chosen = chooseRunTimePolicy(options.policy);
  const usable = policiesOf(transformer);
  if (!usable.includes(chosen.name)) {
    throw new PlanError(
      `Cannot generate: policy must be ${oneOf(usable, chosen.name)} for ${id}, ` +
        `whose first block is its only one: current value is ${chosen.name}`,
    );
  }
  expectUnplanned(options, `policy ${options.policy}`);
  return chosen;
}

/** @throws {TypeError | RangeError | PlanError} When there is none such, or a policy or a plan beside it. */
function resolveParallel(options: GenerateOptions): ChosenParallel | undefined {
  const { parallel, policy } = options;
  if (parallel === undefined) return undefined;
  const chosen = chooseParallel(parallel);
  if (policy !== undefined) {
    throw new TypeError(
      `Cannot generate: policy must be none beside parallel ${parallel}: current value is ${policy}`,
    );
  }
  expectUnplanned(options, `parallel ${parallel}`);
  return chosen;
}

/** @throws {PlanError} When a plan was asked for. */
function expectUnplanned({ plan = "none" }: GenerateOptions, beside: string): void {
  if (plan === "none" || plan === "auto") return;
  throw new PlanError(
    `Cannot generate: plan must be none beside ${beside}: current value is ${
      typeof plan === "string" ? plan : "a plan"
    }`,
  );
}

/** @throws {PlanError} When the plan does not fit the model or the sampler. */
async function fitNotices(
  model: Model,
  { plan, request, precision }: {
    readonly plan: Plan;
    readonly request: ResolvedRequest;
    readonly precision: string | undefined;
  },
): Promise<readonly string[]> {
  const { sampler: { times }, sampling, guidance, scene: { tokenGrid }, sigmas } = request;
  const run = { times, sampling, sigmas, guidance, tokenGrid, precision };
  const notices = checkPlanFits(plan, await planTarget(model, run));
  return request.trueGuidance === undefined ? notices : [...notices, UNGUIDED_PLAN];
}

/** Plans are made of runs without a null half; that of another prompt changes otherwise from step to step. */
const UNGUIDED_PLAN = "The plan was made without true guidance; this run has it.";

export interface ResolvedPlan {
  /** Absent when every step is computed in full. */
  readonly named?: NamedPlan;
  /** Half a sentence. */
  readonly reason: string;
  /** Sentences on what could be taken instead. */
  readonly notices?: readonly string[];
}

/**
 * The plan that options ask for.
 *
 * @throws {PlanError} When no bundled plan has that name.
 * @throws {TypeError} When it is neither a word nor a plan.
 */
export async function resolvePlan(
  model: Model,
  { plan = "auto", ...times }: Pick<GenerateOptions, "plan" | "sampler" | "steps" | "sigmas">,
): Promise<ResolvedPlan> {
  const reason = "asked for";
  if (plan === "none") return { reason };
  if (plan === "auto") return await fittingPlan(model, times);
  if (typeof plan === "string") return { named: { name: plan, plan: loadPlan(plan) }, reason };
  const isObject = typeof plan === "object" && plan !== null; // callers in JavaScript have no types
  if (isObject && "plan" in plan) return { named: plan, reason };
  if (isObject && "modules" in plan) return { named: { name: "given", plan }, reason };
  throw new TypeError(
    'Cannot generate: plan must be "auto", "none", the name of a bundled plan or a plan that was read: ' +
      `current value is ${JSON.stringify(plan)?.slice(0, 60)}`,
  );
}

/** The bundled plan that fits; where there is none for so many steps, which others are as fast. */
async function fittingPlan(
  model: Model,
  { steps, sigmas, ...chosen }: Pick<GenerateOptions, "sampler" | "steps" | "sigmas">,
): Promise<ResolvedPlan> {
  const { id, transformer } = model;
  const sampler = samplingOf(model, chosen);
  const asked = steps ?? sigmas?.length ??
    (chosen.sampler === undefined ? undefined : sampler.steps);
  const planned = { sampler, transformer, fingerprint: () => model.fingerprint() };
  const named = await findPlan(planned, asked);
  if (named !== undefined) return { named, reason: "the bundled plan that fits" };
  const reason = `no bundled plan fits ${id}, ${sampler.name}, ${asked ?? sampler.steps} steps`;
  if (steps === undefined || sigmas !== undefined || chosen.sampler !== undefined) {
    return { reason }; // more was asked for than to take so many steps
  }
  const plans = (await plansFor(planned)).map(({ name, plan }) => ({ name, ...compilePlan(plan) }));
  const faster = fasterPlans(plans, { steps, cost: modelCost(transformer) });
  return { reason, ...(faster !== undefined && { notices: [faster] }) };
}
