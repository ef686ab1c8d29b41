/**
 * `generate`: pictures from a model, as a PNG grid, as latents, or both.
 *
 * @module
 */

import { encodeSafetensors } from "../assets/formats/safetensors_writer.ts";
import { AssetError } from "../errors.ts";
import { tileGrid, toPictures } from "../image/picture.ts";
import type { GenerateOptions, Pipeline } from "../engine/pipeline.ts";
import { recordText } from "../engine/picture_record.ts";
import { encodePng } from "../image/png.ts";
import { prepareRun } from "../engine/prepare.ts";
import { resolveLabel } from "../engine/request.ts";
import { precisionName } from "../engine/precision/choose.ts";
import type { Model } from "../model/model.ts";
import type { StepKind } from "../plan/compile.ts";
import { joinRows, sliceRows } from "../tensor/rows.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type GivenConditions, readConditions } from "./conditions.ts";
import { expectWritable, writeWhole } from "./files.ts";
import { type GenerateCommand, type GenerateWords, withRecord } from "./generate_options.ts";
import { expectPixels } from "./pixels.ts";
import { choosePlan, type PlanChoice, readWantedPlan } from "./plan_choice.ts";
import { openedText, openFor } from "./open.ts";
import { announce, counted, progressOutput, tell, warn, type WrittenFile } from "./output.ts";
import { startProgress } from "./progress.ts";
import { type BatchResult, describeReport, type Report, summarise } from "./report.ts";

/** Pictures of one batch: more gain no speed on a CPU and cost memory. */
const MAX_BATCH = 10;

/** Runs the command. */
export async function generate(words: GenerateWords, signal: AbortSignal): Promise<void> {
  const command = await withRecord(words);
  for (const path of [command.out, command.latents]) {
    if (path !== undefined) await expectWritable(path);
  }
  const wanted = await readWantedPlan(command);
  const conditions = command.conditions === undefined
    ? undefined
    : await readConditions(command.conditions);
  const onModel = (model: Model): Promise<void> => expectAble(model, command);
  const pipeline = await openFor(command, { signal, onModel });
  try {
    const choice = await choosePlan(pipeline, { ...command, wanted });
    const results = await runBatches(pipeline, { command, conditions, choice, signal });
    const { report } = results;
    const files = await writeResults(results, command);
    tell({ report, text: describeReport(report), files }, command);
  } finally {
    await pipeline.close();
  }
}

/** What is written. */
interface Results {
  readonly latents: Tensor;
  /** Of each batch; none where they are not wanted. */
  readonly pictures: readonly Tensor[];
  readonly report: Report;
}

interface RunOptions {
  readonly command: GenerateCommand;
  readonly conditions: GivenConditions | undefined;
  readonly choice: PlanChoice;
  readonly signal: AbortSignal;
}

/** Refuses, before sessions are loaded, what this model cannot do. */
async function expectAble(
  model: Model,
  { fingerprint, labels = [], conditions, out }: GenerateCommand,
): Promise<void> {
  const actual = await model.fingerprint();
  if (fingerprint !== undefined && fingerprint !== actual) {
    throw new AssetError(
      `Cannot repeat the picture: the model must be ${fingerprint} (give it by --model): ` +
        `current value is ${actual}`,
    );
  }
  if (out !== undefined) expectPixels(model, out);
  if (conditions === undefined) { for (const label of labels) resolveLabel(model, label); }
}

/** One batch after another; pictures keep their place and their seed. */
async function runBatches(
  pipeline: Pipeline,
  run: RunOptions,
): Promise<Results> {
  const { command, conditions, choice, signal } = run;
  const labels = wantedLabels(pipeline, command, conditions);
  const wanted = {
    ...(command.steps !== undefined && { steps: command.steps }),
    ...(command.guidance !== undefined && { guidance: command.guidance }),
    ...(choice.named !== undefined && { plan: choice.named.plan }),
    ...conditions?.given,
    signal,
  };
  const { model } = pipeline;
  const noise = conditions?.noise;
  const asked = { ...wanted, labels, ...(noise !== undefined && { noise }) };
  const precision = precisionName(pipeline.precision.weights);
  const { request: { steps, scene }, notices } = await prepareRun(model, asked, precision);
  const { named, reason } = choice;
  const chosen = `plan ${named?.name ?? "none"}: ${reason}`;
  announce([openedText(pipeline), chosen], command);
  warn(notices, command);
  const batches = Math.ceil(labels.length / MAX_BATCH);
  const progress = startProgress(steps * batches, progressOutput(command));
  const results: BatchResult[] = [];
  const pictures: Tensor[] = [];
  try {
    for (let first = 0; first < labels.length; first += MAX_BATCH) {
      const batch = labels.slice(first, first + MAX_BATCH);
      const options = {
        ...wanted,
        labels: batch,
        ...(conditions === undefined
          ? { seed: command.seed + first }
          : { noise: sliceRows(conditions.noise, first, batch.length) }),
      };
      const before = results.length * steps;
      results.push(await drain(pipeline, options, (done) => progress.step(before + done)));
      if (command.out === undefined) continue;
      const { latents } = results.at(-1)!; // just pushed
      pictures.push(await pipeline.decode(latents, { grid: scene.tokenGrid, signal }));
    }
    progress.finish();
  } catch (error) {
    progress.abort();
    throw error;
  }
  const report = await summarise(pipeline, results, { choice, scene });
  return { latents: joinRows(results.map(({ latents }) => latents)), pictures, report };
}

async function drain(
  pipeline: Pipeline,
  options: GenerateOptions,
  onStep: (done: number) => void,
): Promise<BatchResult> {
  const run = pipeline.steps(options);
  const kinds: StepKind[] = [];
  for (let next = await run.next();; next = await run.next()) {
    if (next.done === true) return { ...next.value, kinds };
    kinds.push(next.value.kind);
    onStep(next.value.index + 1);
  }
}

function wantedLabels(
  { model }: Pipeline,
  { labels, count }: GenerateCommand,
  conditions: GivenConditions | undefined,
): readonly (number | string)[] {
  if (conditions !== undefined) return conditions.labels;
  if (model.classes === 0) return labels ?? []; // refused by who resolves the request
  const cycle = labels ?? Array.from({ length: Math.min(10, model.classes) }, (_, label) => label);
  return Array.from({ length: count ?? cycle.length }, (_, i) => cycle[i % cycle.length]!); // not empty
}

async function writeResults(
  { latents, pictures, report }: Results,
  command: GenerateCommand,
): Promise<WrittenFile[]> {
  const files: WrittenFile[] = [];
  if (command.out !== undefined) {
    const { labels, seed, steps, guidance, fingerprint, model, precision } = report;
    const plan = report.plan && { name: report.plan.name, digest: report.plan.digest };
    const { sampler } = command;
    const { weights } = precision;
    const record = { model, fingerprint, labels, seed, steps, guidance, sampler, weights, plan };
    const text = recordText(record);
    const cells = pictures.flatMap(toPictures);
    const grid = tileGrid(cells);
    await writeWhole(command.out, [await encodePng(grid, text)]);
    const { width, height } = cells[0]!; // at least one was asked for
    const size = [counted(cells.length, "picture"), `${width} × ${height}`];
    const what = [...size, ...(grid.scale > 1 ? [`enlarged × ${grid.scale}`] : [])].join(", ");
    files.push({ path: command.out, what });
  }
  if (command.latents !== undefined) {
    await writeWhole(command.latents, encodeSafetensors(new Map([["latents", latents]])));
    files.push({ path: command.latents, what: `latents ${latents.dims.join(" × ")}` });
  }
  return files;
}
