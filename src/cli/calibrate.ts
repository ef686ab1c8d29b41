/**
 * `calibrate`: records full runs of a model and writes the plan that they give.
 */

import { basename } from "node:path";
import {
  calibrate as calibratePipeline,
  type CalibrateOptions,
  type TradeOffPoint,
} from "../calibrate/mod.ts";
import { choosePolicy } from "../calibrate/policies/table.ts";
import type { Engine } from "../engine/engine.ts";
import { comparePlan } from "../calibrate/compare.ts";
import { mean } from "../calibrate/median.ts";
import { conditionsOfRuns } from "../calibrate/prompted_conditions.ts";
import { modelCost, sceneOfPlan } from "../engine/plan_facts.ts";
import { compilePlan } from "../plan/compile.ts";
import { predictSpeedup } from "../plan/cost.ts";
import { planDigest } from "../plan/digest.ts";
import type { Plan } from "../plan/plan.ts";
import { renderText } from "../plan/render/text.ts";
import type { CalibrateCommand } from "./calibrate_options.ts";
import { truthFor } from "./compare.ts";
import { readConditions } from "./conditions.ts";
import { expectWritable } from "./files.ts";
import { openedText, openFor } from "./open.ts";
import { formatOptions } from "./options.ts";
import { announce, tell, withProgress } from "./output.ts";
import { factsOf } from "./plan_facts.ts";
import { writePlan } from "./plan_file.ts";

export async function calibrate(command: CalibrateCommand, signal: AbortSignal): Promise<void> {
  if (command.policy !== undefined) choosePolicy(command.policy, "calibrate"); // before a model is fetched
  await expectWritable(command.out);
  const pipeline = await openFor(command, { signal });
  try {
    announce([openedText(pipeline)], command);
    const began = performance.now();
    const points: TradeOffPoint[] = [];
    const onTrial = (point: TradeOffPoint): void => {
      points.push(point);
      announce([`measured ${pointText(point)}`], command);
    };
    const given = await optionsOf(command);
    const options = { ...given, signal, onTrial };
    const plan = await withProgress(
      command,
      (onProgress) => calibratePipeline(pipeline, { ...options, onProgress }),
    );
    const truth = command.truth ? await truthOf(pipeline, plan, { command, given, signal }) : {};
    const labelled = withProvenance(plan, { command, points, pipeline, truth });
    await writePlan(command.out, labelled);
    const { backend, model } = pipeline;
    const { sampler, policy, calibration, measured } = labelled;
    const report = {
      ...{ model: model.id, fingerprint: await model.fingerprint(), backend: backend.description },
      plan: {
        name: command.out,
        digest: planDigest(labelled),
        steps: sampler.times.length,
        policy,
      },
      ...{ labels: calibration?.conditions, seeds: calibration?.seeds, measured, tradeOff: points },
      seconds: (performance.now() - began) / 1000,
    };
    const facts = factsOf({ name: command.out, plan: labelled }, model);
    const text = `${curveOf(points)}${renderText(labelled)}\n${facts}`;
    const what = `a plan of ${sampler.times.length} steps`;
    tell({ report, text, files: [{ path: command.out, what }] }, command);
  } finally {
    await pipeline.close();
  }
}

/** What the library is asked for. */
async function optionsOf(
  { quantile, conditions, ...command }: CalibrateCommand,
): Promise<CalibrateOptions> {
  const pairs = quantile?.map((pair) => pair.split("=")).map(([kind, q]) => [kind, Number(q)]);
  return {
    ...command,
    levels: pairs && Object.fromEntries(pairs),
    conditions: conditions === undefined ? undefined : await readConditions(conditions),
  };
}

/** Mean PSNR of the plan, and of its full run, to the converged solution of the recorded runs. */
async function truthOf(
  pipeline: Engine,
  plan: Plan,
  { command, given, signal }: {
    readonly command: CalibrateCommand;
    readonly given: CalibrateOptions;
    readonly signal: AbortSignal;
  },
): Promise<Readonly<Record<string, number>>> {
  const { conditions = await conditionsOfRuns(pipeline, command) } = given;
  const about = { truth: await truthFor(command), rounds: 1, signal };
  const { truth } = await comparePlan({ pipeline, plan, conditions, ...about });
  return {
    truthPsnrDb: rounded(mean(truth!.planned.psnrDb)), // asked for
    fullTruthPsnrDb: rounded(mean(truth!.full.psnrDb)),
  };
}

interface Provenance {
  /** What the converged solution says of it. */
  readonly truth: Readonly<Record<string, number>>;
  readonly command: CalibrateCommand;
  readonly points: readonly TradeOffPoint[];
  readonly pipeline: Engine;
}

/** Adds the file of conditions, and what was measured of the plan. */
function withProvenance(plan: Plan, { command, points, pipeline, truth }: Provenance): Plan {
  const { conditions, targetSpeedup: speedup = 1 } = command;
  const policy = conditions === undefined ? plan.policy : {
    ...plan.policy,
    parameters: { ...plan.policy.parameters, conditions: basename(conditions) },
  };
  const values = { ...measuredValues(plan, { points, speedup, pipeline }), ...truth };
  if (Object.keys(values).length === 0) return { ...plan, policy };
  const measured = {
    command: ["deno task calibrate", ...formatOptions({ ...command, json: false, quiet: false })]
      .join(" "),
    machine: pipeline.backend.description,
    values,
  };
  return { ...plan, policy, measured };
}

/** What calibration measured of the plan on conditions that it did not fit or record; absent where it did not. */
function measuredValues(
  plan: Plan,
  { points, speedup, pipeline: { model } }: Pick<Provenance, "points" | "pipeline"> & {
    readonly speedup: number;
  },
): Readonly<Record<string, number>> | undefined {
  const fitted = plan.policy.parameters["heldBackDb"];
  if (typeof fitted === "number") {
    const { transformer } = sceneOfPlan(plan, model);
    const predicted = predictSpeedup(compilePlan(plan), modelCost(transformer));
    return { predictedSpeedup: rounded(predicted), truthPsnrDb: fitted };
  }
  const [best] = points.filter(({ predicted }) => predicted >= speedup)
    .toSorted((x, y) => y.psnr - x.psnr);
  return best && { psnrDb: rounded(best.psnr), predictedSpeedup: rounded(best.predicted) };
}

/** The trade-off curve, fastest last; empty without measured plans. */
function curveOf(points: readonly TradeOffPoint[]): string {
  if (points.length === 0) return "";
  const rows = points.toSorted((a, b) => a.predicted - b.predicted).map(pointText);
  return ["trade-off on held-back conditions:", ...rows, ""].map((row) => `${row}\n`).join("");
}

function pointText({ predicted, psnr, levels }: TradeOffPoint): string {
  const shares = Object.entries(levels).map(([kind, level]) => `${kind} ${level.toFixed(2)}`);
  return `${predicted.toFixed(2).padStart(6)} ×  ${psnr.toFixed(2).padStart(6)} dB  ${
    shares.join(", ")
  }`;
}

/** Two decimals: more would be noise. */
function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
