/**
 * The ways of a study of policies: each policy at several settings, its plan made of recorded runs and kept; our plans;
 * the best solvers.
 */
import { calibrate, type CalibrateOptions } from "../../src/calibrate/mod.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { importPolicy } from "../../src/calibrate/policies/run_policy.ts";
import { withPolicyFile } from "../../src/cli/plan_file.ts";
import { bindPlan } from "../../src/plan/fit.ts";
import { hasFixedTimes, makeSampler } from "../../src/sampler/solvers.ts";
import { modelCost, planTarget } from "../../src/engine/plan_facts.ts";
import { policyOfPlan } from "../../src/engine/policies/of_plan.ts";
import { frontOf } from "../../src/engine/policies/signals.ts";
import { chooseRunTimePolicy } from "../../src/engine/policies/table.ts";
import type { RunTimePolicy } from "../../src/engine/policies/policy.ts";
import type { Model } from "../../src/model/model.ts";
import { PlanError } from "../../src/errors.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { parsePlan } from "../../src/plan/parse.ts";
import type { Plan } from "../../src/plan/plan.ts";
import {
  planWords,
  policyWord,
  ROUTED_WORDS,
  RUN_TIME_WORDS,
  RUNS,
  SOLVER_WORDS,
} from "./policies_settings.ts";
import { bundledVariants, modelFull, planned, type Variant, variantKey } from "./rivals.ts";
import { conditionsOf, knownRivals, readJson, type Study } from "./trade_off_study.ts";

/** Calls of the best solvers, by the steps of the full run. */
const CALLS: Readonly<Record<number, readonly number[]>> = {
  50: [25, 16, 12, 10, 8, 6],
  28: [14, 9, 7],
};
/** Pictures on which it is seen how often a policy reuses at run time. */
const PROBES = 4;

/** The full run, our plans, and the best solver of each number of calls. */
export async function waysBeside(study: Study): Promise<readonly Variant[]> {
  const { model } = study.pipeline;
  const plans = (await bundledVariants(model)).toSorted((a, b) => a.speedup - b.speedup);
  const solvers = await knownRivals(study, CALLS[model.sampler.steps] ?? []);
  return [modelFull(model), ...plans, ...solvers];
}

/** How plans are made. */
export interface PlanMaking {
  /** The model's directory. */
  readonly model: URL | string;
  readonly runs: number;
  /** Ways that are wanted, by what `SERIES:SETTINGS` begins with; all unless given. */
  readonly only?: readonly string[] | undefined;
  /** Whether plans that are not kept are made; else they are left out. */
  readonly makes: boolean;
}

/** The ways of every policy, a list for each. */
export async function policyVariants(
  study: Study,
  making: PlanMaking,
): Promise<readonly (readonly Variant[])[]> {
  await Deno.mkdir(`${study.folder}/policies`, { recursive: true });
  const wanted = (series: string) => (words: string): boolean =>
    making.only?.some((name) => `${series}:${words}`.startsWith(name)) ?? true;
  const plans = planWords(study.pipeline.model.sampler.steps);
  const routed = await routedVariants(study);
  const groups: Variant[][] = [routed.filter(({ series, name }) => wanted(series)(name))];
  for (const [series, settings] of Object.entries(plans)) {
    groups.push([]);
    for (const words of settings.filter(wanted(series))) {
      const plan = await planOf(study, policyWord(series, words), making);
      if (plan === undefined) continue;
      groups.at(-1)!.push(planned(study.pipeline.model, { series, name: words, plan }));
    }
  }
  for (const [series, all] of Object.entries(SOLVER_WORDS)) {
    const settings = all.filter(wanted(`unipc with ${series}`));
    if (settings.length === 0) continue;
    groups.push(await underSolver(study, { series, settings }, making));
  }
  for (const [series, settings] of Object.entries(RUN_TIME_WORDS)) {
    groups.push([]);
    for (const words of settings.filter(wanted(`${series}, at run time`))) {
      const plan = plans[series] && await planOf(study, policyWord(series, words), making);
      const policy = plan === undefined ? policyWord(series, words) : policyOfPlan(plan);
      if (plans[series] !== undefined && plan === undefined) continue;
      const way = { series: `${series}, at run time`, name: words, policy };
      const variant = await runTimeVariant(study, way, making);
      if (variant !== undefined) groups.at(-1)!.push(variant);
    }
  }
  return groups.filter((group) => group.length > 0);
}

/** Plans of a router that was trained for the model, where the study's folder has one: `policies/MODEL.router.pt`. */
async function routedVariants({ pipeline: { model }, folder }: Study): Promise<Variant[]> {
  const path = `${folder}/policies/${model.id}.router.pt`;
  const isThere = await Deno.stat(path).then(() => true, () => false);
  if (!isThere) return [];
  const { name, steps } = model.sampler;
  const { times } = makeSampler(model.sampler, { steps, tokens: 0 });
  const target = await planTarget(model, { times, guidance: model.sampler.guidance });
  const words = Object.entries(ROUTED_WORDS)
    .flatMap(([series, settings]) => settings.map((name) => ({ series, name })));
  return await withPolicyFile(path, (file) =>
    Promise.all(words.map(async (way) => {
      const word = policyWord(way.series, way.name);
      const plan = await importPolicy(word, file, { sampler: { name, times } });
      return planned(model, { ...way, plan: bindPlan(plan, target) });
    })));
}

/** A policy under another solver than the model's, in as many steps as the full run and in half of them. */
async function underSolver(
  study: Study,
  { series, settings }: { readonly series: string; readonly settings: readonly string[] },
  making: PlanMaking,
): Promise<Variant[]> {
  const { model } = study.pipeline;
  const full = model.sampler.steps;
  const sampler = hasFixedTimes(model.sampler.name) ? "unipc:trailing" : "unipc";
  const pipeline = await openEngine({
    model: making.model,
    backend: "native",
    sampler,
    threads: 1,
  });
  try {
    const variants: Variant[] = [];
    for (const steps of [full, full / 2]) {
      for (const words of settings) {
        const named = { ...making, steps, sampler };
        const plan = await planOf({ ...study, pipeline }, policyWord(series, words), named);
        if (plan === undefined) continue;
        const calls = compilePlan(plan).steps.filter(({ kind }) => kind !== "forecast").length;
        const name = `${steps} steps, ${words}`;
        const about = { series: `unipc with ${series}`, name, speedup: full / calls };
        variants.push({ ...about, steps, sampler, plan });
      }
    }
    return variants;
  } finally {
    await pipeline.close();
  }
}

/** The plan of a policy: as it was kept, or made now. */
async function planOf(
  { pipeline, folder }: Study,
  policy: string,
  { runs, makes, steps, sampler }: PlanMaking & Pick<CalibrateOptions, "steps"> & {
    readonly sampler?: string;
  },
): Promise<Plan | undefined> {
  const under = sampler === undefined ? policy : `${policy}.${sampler}.${steps}`;
  const file = `${pipeline.model.id}.${under.replaceAll(/[^\w.-]/g, "_")}.json`;
  const path = `${folder}/policies/${file}`;
  const kept = await Deno.readTextFile(path).catch(() => undefined); // there is none yet
  if (kept !== undefined) return parsePlan(kept);
  if (!makes) return undefined;
  console.error(`calibrate ${policy}`);
  try {
    const [name = ""] = policy.split(":");
    const plan = await calibrate(pipeline, { policy, runs: RUNS[name] ?? runs, steps });
    await Deno.writeTextFile(path, formatPlan(plan));
    return plan;
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    console.error(error.message); // not for this kind of model
    return undefined;
  }
}

/** A policy that decides at run time, with the speed-up that its decisions on a few pictures predict. */
async function runTimeVariant(
  study: Study,
  way: Pick<Variant, "series" | "name"> & { readonly policy: string },
  { makes }: Pick<PlanMaking, "makes">,
): Promise<Variant | undefined> {
  const { pipeline: { model }, folder } = study;
  const variant = { ...way, steps: model.sampler.steps, speedup: 1 };
  const path = `${folder}/policies/${model.id}.${variantKey(variant)}`;
  const kept = await readJson<number>(path);
  if (kept !== undefined) return { ...variant, speedup: kept };
  if (!makes) return undefined;
  const speedup = await decidedSpeedup(study, variant);
  await Deno.writeTextFile(path, JSON.stringify(speedup));
  return { ...variant, speedup };
}

/** Arithmetic of the full run ÷ that of what a policy decides, on a few pictures. */
async function decidedSpeedup(
  study: Study,
  { policy, steps }: Pick<Variant, "steps"> & { readonly policy: string },
): Promise<number> {
  const { pipeline } = study;
  const { labels, noise, given } = await conditionsOf(study, PROBES);
  const asked = { ...given, labels, noise, steps, policy, output: "latents" } as const;
  const { policy: decided } = await pipeline.generate(asked);
  const reused = decided!.reused.reduce((sum, count) => sum + count, 0) / PROBES; // one was asked for
  const share = reusedShare(pipeline.model, chooseRunTimePolicy(policy).policy);
  return steps / (steps - reused * (1 - share));
}

/** What a step that reuses takes of one in full: nothing, or the embedding, what runs before it is asked, and the head. */
function reusedShare(
  { transformer }: Pick<Model, "transformer">,
  { signal }: Pick<RunTimePolicy, "signal">,
): number {
  if (signal === "latent") return 0;
  const { embed, head, modules } = modelCost(transformer);
  const macs = modules.map(({ branch, merge }) => branch + merge);
  const front = sumOf(macs.slice(0, frontOf(signal, transformer)));
  return (embed + head + front) / (embed + head + sumOf(macs));
}

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
