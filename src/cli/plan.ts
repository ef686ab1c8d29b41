/**
 * `plan`: look at a plan, prove that it fits, and exchange plans with the published code.
 */

import process from "node:process";
import { bundledPlans, loadPlan } from "../engine/bundled_plans.ts";
import { PlanError } from "../errors.ts";
import { importPolicy } from "../calibrate/policies/run_policy.ts";
import type { ReadForModel } from "../calibrate/policies/policy.ts";
import { scheduleOf } from "../calibrate/policies/schedule.ts";
import { EMBEDDED_MODEL } from "../engine/embedded_model.ts";
import { plannedTimes, planTarget, sceneOfPlan } from "../engine/plan_facts.ts";
import type { Model, ModelChoice } from "../model/model.ts";
import { openModel } from "../model/open_model.ts";
import { importCacheBook } from "../plan/cache_book/import.ts";
import { exportCacheBook } from "../plan/cache_book/export.ts";
import { bindPlan, checkPlanFits, type PlanTarget } from "../plan/fit.ts";
import type { Plan, PlanSampler } from "../plan/plan.ts";
import { renderSvg } from "../plan/render/svg.ts";
import { renderText } from "../plan/render/text.ts";
import { hasFixedTimes, makeSampler, mayVisit } from "../sampler/solvers.ts";
import { withDownloads } from "./download_progress.ts";
import { writeWhole } from "./files.ts";
import { factsOf } from "./plan_facts.ts";
import { readBook, readPlan, withPolicyFile, writePlan } from "./plan_file.ts";
import { type Asked, type Command, command } from "./options.ts";
import { BIND, CHECK, EXPORT, IMPORT, LIST, SHOW } from "./plan_options.ts";

export const PLAN_COMMANDS: readonly Command[] = [
  command(LIST, list),
  command(SHOW, show),
  command(CHECK, check),
  command(IMPORT, importBook),
  command(BIND, bind),
  command(EXPORT, exportBook),
];

/** Names, and what is known of each without a model. */
function list({ json }: Asked<typeof LIST>): Promise<void> {
  const plans = bundledPlans.map((name) => {
    const { architecture, sampler, measured } = loadPlan(name);
    const { predictedSpeedup, psnrDb, truthPsnrDb } = measured?.values ?? {};
    return {
      name,
      architecture,
      sampler: sampler.name,
      steps: sampler.times.length,
      predictedSpeedup,
      psnrDb,
      truthPsnrDb,
    };
  });
  const lines = plans.map(({ name, sampler, steps, predictedSpeedup, psnrDb, truthPsnrDb }) =>
    [
      name.padEnd(28) + `${steps} steps of ${sampler}`,
      ...(predictedSpeedup === undefined ? [] : [`${predictedSpeedup.toFixed(2)} × predicted`]),
      ...(psnrDb === undefined ? [] : [`${psnrDb.toFixed(1)} dB`]),
      ...(truthPsnrDb === undefined
        ? []
        : [`${truthPsnrDb.toFixed(1)} dB to the converged solution`]),
    ].join(", ")
  );
  print(json ? JSON.stringify({ plans }) + "\n" : lines.map((line) => `${line}\n`).join(""));
  return Promise.resolve();
}

async function show({ plan: name, model, svg }: Asked<typeof SHOW>): Promise<void> {
  const named = await readPlan(name);
  const facts = model === undefined
    ? factsOf(named)
    : await withModel(model, samplerFor(named.plan), (opened) => factsOf(named, opened));
  const colors = process.stdout.isTTY === true && !process.env["NO_COLOR"] ? "ansi" : "plain";
  print(renderText(named.plan, { colors }) + "\n" + facts);
  if (svg === undefined) return;
  await writeText(svg, renderSvg(named.plan));
  print(`wrote ${svg} (the heat-map)\n`);
}

async function check({ plan: name, model, json }: Asked<typeof CHECK>): Promise<void> {
  const { plan } = await readPlan(name);
  await withModel(model, samplerFor(plan), async (opened) => {
    const notices = checkPlanFits(plan, await targetFor(plan, opened));
    const report = { plan: name, model: opened.id, fits: true, notices };
    print(
      (json ? [JSON.stringify(report)] : [`${name} fits ${opened.id}`, ...notices]).join("\n") +
        "\n",
    );
  });
}

async function importBook(command: Asked<typeof IMPORT>): Promise<void> {
  const { model, out } = command;
  const found = await readPublished(command, await samplerOf(command));
  const plan = { ...found, context: { ...(command.grid && { tokenGrid: command.grid }) } };
  await writePlan(out, model === undefined ? plan : await bound(plan, model));
  print(`wrote ${out} (${model === undefined ? 'unbound; "plan bind" makes it run' : "bound"})\n`);
}

/** What a file says of a plan: a cache book, or the file of a policy. */
async function readPublished(
  { plan: file, policy, model, grid }: Asked<typeof IMPORT>,
  sampler: PlanSampler,
): Promise<Plan> {
  if (policy === undefined) return importCacheBook(await readBook(file), sampler);
  const of = model === undefined
    ? undefined
    : await withModel(model, {}, (opened) => readForModel(opened, { sampler, grid }));
  return await withPolicyFile(
    file,
    (opened) => importPolicy(policy, opened, { sampler, model: of }),
  );
}

/** What a policy's file is read for: modules, and the times of the sampler as a plan owns them. */
function readForModel(
  { transformer: { architecture, modules }, sampler: config, scene }: Model,
  { sampler: { name, times }, grid }: {
    readonly sampler: PlanSampler;
    readonly grid?: readonly [number, number] | undefined;
  },
): ReadForModel {
  return {
    architecture,
    modules: modules.map((module) => module.name),
    schedule: hasFixedTimes(name)
      ? { times }
      : scheduleOf(config, { steps: times.length, tokens: scene({ grid }).tokens }),
  };
}

async function bind({ plan: name, model, out }: Asked<typeof BIND>): Promise<void> {
  const { plan } = await readPlan(name);
  await writePlan(out, await bound(plan, model));
  print(`wrote ${out} (bound)\n`);
}

async function exportBook({ plan: name, out }: Asked<typeof EXPORT>): Promise<void> {
  const { plan } = await readPlan(name);
  await writeText(out, JSON.stringify(exportCacheBook(plan)) + "\n");
  print(`wrote ${out} (a cache book for ${plan.architecture})\n`);
}

/** Steps mean the original's, or those of the model that is given; any other sampler must name its times. */
async function samplerOf(
  { sampler: name, steps, times, grid, model }: Asked<typeof IMPORT>,
): Promise<PlanSampler> {
  if (steps === undefined) return { name, times: times! }; // one of them was given
  if (hasFixedTimes(name)) {
    return { name, times: makeSampler({ name }, { steps, tokens: 0 }).times };
  }
  return await withModel(model, {}, (opened) => {
    const { tokens } = opened.scene({ grid });
    const { times } = makeSampler(opened.sampler, { steps, tokens });
    return { name: opened.sampler.name, times };
  });
}

/** With the model's fingerprint; refused unless the plan would run there. */
async function bound(plan: Plan, location: string | undefined): Promise<Plan> {
  return await withModel(location, samplerFor(plan), async (model) => {
    const target = await targetFor(plan, model);
    const result = bindPlan(plan, target);
    checkPlanFits(result, target);
    return result;
  });
}

/** The run of a model that a plan of as many steps would have to fit. */
async function targetFor(plan: Plan, model: Model): Promise<PlanTarget> {
  const { length } = plan.sampler.times;
  if (length > 1000) {
    throw new PlanError(
      `Cannot use plan: steps must be at most 1000: current value is ${length}`,
    );
  }
  const scene = sceneOfPlan(plan, model);
  const times = plannedTimes(plan, model);
  const { guidance } = model.sampler;
  return await planTarget(model, { times, guidance, tokenGrid: scene.tokenGrid });
}

/** The original's sampler for a plan of its times, else that of the model's directory. */
function samplerFor({ sampler: { name, times } }: Plan): ModelChoice {
  return hasFixedTimes(name) && mayVisit({ name }, times) ? { sampler: "original" } : {};
}

/** Opens a model, the embedded one unless given, for as long as `use` takes; only headers are read. */
async function withModel<T>(
  location: string | undefined,
  choice: ModelChoice,
  use: (model: Model) => T | Promise<T>,
): Promise<T> {
  const model = await withDownloads((onDownload) =>
    openModel(location ?? EMBEDDED_MODEL, { ...choice, onDownload })
  );
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

async function writeText(path: string, text: string): Promise<void> {
  await writeWhole(path, [new TextEncoder().encode(text)]);
}

function print(text: string): void {
  process.stdout.write(text);
}
