/**
 * Our plans and their rivals: the ways of making the same pictures that `trade_off.ts` and `quality.ts`
 * compare.
 */
import { uniformPlan } from "./uniform_plan.ts";
import { bundledPlans, earlierPlans, loadPlan } from "../../src/engine/bundled_plans.ts";
import type { WeightPrecision } from "../../src/engine/precision/rounded_layers.ts";
import { modelCost, planTarget } from "../../src/engine/plan_facts.ts";
import type { Model } from "../../src/model/model.ts";
import { importCacheBook } from "../../src/plan/cache_book/import.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { predictSpeedup } from "../../src/plan/cost.ts";
import { planDigest } from "../../src/plan/digest.ts";
import { bindPlan } from "../../src/plan/fit.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { STATE_ROWS } from "../../src/plan/row.ts";
import { betaQuantile } from "../../src/sampler/beta_quantile.ts";
import { stepsFor } from "../../src/sampler/choose_sampler.ts";
import { hasFixedTimes } from "../../src/sampler/solvers.ts";
import { linearSchedule } from "../../src/sampler/noise_schedule.ts";

/** One way of making pictures. */
export interface Variant {
  /** What it is one of. */
  readonly series: string;
  /** Which of them. */
  readonly name: string;
  /** How many times less arithmetic than all steps in full. */
  readonly speedup: number;
  /** Sampling steps. */
  readonly steps: number;
  /** Another solver than the model's, as `generate()` takes it. */
  readonly sampler?: string;
  /** Its sigmas before they are shifted; absent = as its scheduler spreads them. */
  readonly sigmas?: readonly number[];
  /** What it reuses, or fits, if anything. */
  readonly plan?: Plan;
  /** What decides at run time, if anything. */
  readonly policy?: string;
  /** Precision of the weights; `f32` unless given. */
  readonly weights?: WeightPrecision;
}

/** Steps of full computation. */
export const FULL_STEPS = 50;

/** All steps of a model's own sampler, in full. */
export function modelFull({ sampler: { name, steps } }: Pick<Model, "sampler">): Variant {
  return { series: `${name}, all steps in full`, name: `${steps} steps`, speedup: 1, steps };
}

/** All steps of fashion-dit, in full. */
export function fullVariant(): Variant {
  return { series: "DDIM, all steps in full", name: "50 steps", speedup: 1, steps: FULL_STEPS };
}

/** A way of making pictures with weights in another precision. */
export function withWeights(variant: Variant, weights: WeightPrecision): Variant {
  return { ...variant, series: `${weights}, ${variant.series}`, weights };
}

/** The bundled plans of a model. */
export function bundledVariants(model: Model): Promise<Variant[]> {
  return plansOf(model, { series: "bundled plans", names: bundledPlans });
}

/** Earlier plans of a model, those that are bundled no more. */
export function earlierVariants(model: Model): Promise<Variant[]> {
  return plansOf(model, { series: "earlier plans", names: earlierPlans });
}

/** Those of some plans that were made for a model. */
async function plansOf(
  model: Model,
  { series, names }: { readonly series: string; readonly names: readonly string[] },
): Promise<Variant[]> {
  const fingerprint = await model.fingerprint();
  return names.map((name) => ({ name, plan: loadPlan(name) }))
    .filter(({ plan }) => plan.fingerprints.includes(fingerprint))
    .map((each) => planned(model, { series, ...each }));
}

const SPACINGS = ["linspace", "trailing", "log-snr", "karras"];
const SPACED = ["dpmpp-2m", "dpmpp-3m", "unipc", "unipc-3", "deis-3"];
/** Every solver with every spacing that is worth its time, by what models predict. */
const SOLVERS = {
  noise: [
    ...["ddim", "heun:trailing", "heun:karras"],
    ...SPACED.flatMap((name) => SPACINGS.map((spacing) => `${name}:${spacing}`)),
  ],
  velocity: ["euler", "heun", "dpmpp-2m", "dpmpp-3m", "unipc", "unipc-3"],
};
/** Other ways to spread a flow's sigmas than evenly: as Euler's scheduler can, and denser at both ends. */
const SIGMAS: Readonly<Record<string, (share: number) => number>> = {
  beta: betaQuantile,
  cosine: (share) => (1 - Math.cos(Math.PI * share)) / 2,
};

/** Every solver of a model with so many calls. */
export function rivalsOf(
  { sampler }: Pick<Model, "sampler">,
  counts: readonly number[],
): Variant[] {
  const about = { counts, fullSteps: sampler.steps };
  if (hasFixedTimes(sampler.name)) return solverVariants(SOLVERS.noise, about);
  const even = solverVariants(SOLVERS.velocity, about);
  const spread = even.filter(({ sampler }) => sampler !== "heun").flatMap((each) =>
    Object.entries(SIGMAS).map(([name, at]): Variant => ({
      ...each,
      series: `${each.series}, ${name} sigmas`,
      sigmas: Array.from({ length: each.steps }, (_, i) => at(1 - i / each.steps)),
    }))
  );
  return [...even, ...spread];
}

/** Fewer steps, each in full. */
export function ddimVariants(counts: readonly number[]): Variant[] {
  return counts.map((steps) => ({
    series: "DDIM with fewer steps",
    name: `${steps} steps`,
    speedup: FULL_STEPS / steps,
    steps,
  }));
}

/** Solvers in full steps, each with so many calls of the model. */
export function solverVariants(
  samplers: readonly string[],
  { counts, fullSteps }: { readonly counts: readonly number[]; readonly fullSteps: number },
): Variant[] {
  return samplers.flatMap((sampler) =>
    counts.map((wanted) => {
      const steps = callsOf(sampler, wanted);
      const series = `solver ${sampler}`;
      return { series, name: `${steps} calls`, speedup: fullSteps / steps, steps, sampler };
    })
  );
}

/** As many calls as are wanted, or one less where a solver takes an odd number. */
export function callsOf(sampler: string | undefined, wanted: number): number {
  const [name = ""] = sampler?.split(":") ?? [];
  return stepsFor(name, wanted);
}

/** Every k-th step in full; the others reuse its features, or its hidden state. */
export async function uniformVariants(
  model: Model,
  everies: readonly number[],
  reused: "features" | "the hidden state",
): Promise<Variant[]> {
  const series = `uniform reuse of ${reused}`;
  const variants: Variant[] = [];
  for (const every of everies) {
    const plan = await uniformPlan(model, { steps: FULL_STEPS, every });
    const rows = reused === "features"
      ? plan.rows
      : plan.rows.map((row, step) => step % every === 0 ? row : [STATE_ROWS.hidden]);
    variants.push(planned(model, { series, name: `1 of ${every}`, plan: { ...plan, rows } }));
  }
  return variants;
}

/** Plans of the published calibration of fashion-dit, levels .61/.2/.2 and .63/.22/.22. */
export async function publishedVariants(model: Model): Promise<Variant[]> {
  const { times } = linearSchedule(FULL_STEPS);
  const target = await planTarget(model, { times, guidance: model.sampler.guidance });
  const variants: Variant[] = [];
  for (const name of ["slow", "fast"]) {
    const path = `../tests/golden/books/fashion-dit-${name}/cache_books.json`;
    const book = JSON.parse(await Deno.readTextFile(new URL(path, import.meta.url)));
    const plan = bindPlan(importCacheBook(book, { name: "ddim", times }), target);
    variants.push(planned(model, { series: "published calibration", name, plan }));
  }
  return variants;
}

/** A variant that follows a plan. */
export function planned(
  model: Model,
  { series, name, plan }: { readonly series: string; readonly name: string; readonly plan: Plan },
): Variant {
  const steps = plan.sampler.times.length;
  const own = predictSpeedup(compilePlan(plan), modelCost(model.transformer));
  // Without a reference it is predicted against as many steps in full as it has itself.
  const speedup = plan.reference === undefined ? own * model.sampler.steps / steps : own;
  return { series, name, speedup, steps, plan };
}

/** A short name for files; another plan, and another precision, has another. */
export function variantKey(
  { steps, plan, sampler, sigmas, policy, weights, series, name }: Variant,
): string {
  // What a policy measured of the model is long.
  if (policy !== undefined) return `${series}-${name}-${steps}`.replaceAll(/[^\w.-]+/g, "_");
  const spread = sigmas === undefined ? "" : `_${series.split(" ").at(-2)}`;
  const solver = sampler === undefined ? "full" : `${sampler.replace(":", "_")}${spread}`;
  const followed = plan === undefined
    ? `${solver}-${steps}`
    : `plan-${planDigest(plan).slice(7, 19)}`;
  return weights === undefined ? followed : `${weights}-${followed}`;
}
