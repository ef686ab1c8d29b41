/**
 * `generate`: pictures from a model, as a PNG grid, as latents, or both.
 */

import { encodeSafetensors } from "../assets/formats/safetensors_writer.ts";
import type { Engine } from "../engine/engine.ts";
import type { Generated } from "../engine/generated.ts";
import { recordOf, recordText } from "../engine/picture_record.ts";
import type { PreparedRun } from "../engine/prepare.ts";
import { promptsOf } from "../engine/prompt_texts.ts";
import type { GenerateOptions } from "../engine/request.ts";
import { resolveLabel } from "../engine/request_pictures.ts";
import { AssetError } from "../errors.ts";
import { tileGrid } from "../image/picture.ts";
import { encodePng } from "../image/png.ts";
import type { Model } from "../model/model.ts";
import { readGiven } from "./conditions.ts";
import { readEdit } from "./edit.ts";
import { expectWritable, writeWhole } from "./files.ts";
import type { GenerateCommand, GenerateWords } from "./generate_options.ts";
import { openedText, openFor } from "./open.ts";
import {
  announce,
  counted,
  progressOutput,
  tell,
  warn,
  withProgress,
  type WrittenFile,
} from "./output.ts";
import { startPreparing, withPreparing } from "./preparing_progress.ts";
import { expectPixels } from "./pixels.ts";
import { readPolicy, readWantedPlan } from "./plan_file.ts";
import { withRecord } from "./repeat.ts";
import { describeReport, reportOf } from "./report.ts";
import { runToEnd } from "../engine/run.ts";

export async function generate(words: GenerateWords, signal: AbortSignal): Promise<void> {
  const command = await withRecord(words);
  await expectWritable(command.out, command.latents);
  const options = await optionsOf(command);
  const onModel = (model: Model): Promise<void> => expectAble(model, command);
  const engine = await openFor(command, { signal, onModel });
  try {
    const prepared = await withPreparing( // refuses before the work
      command,
      (onPreparing) => engine.prepare({ ...options, signal, onPreparing }),
    );
    const { choice: { named, reason }, notices } = prepared;
    announce([openedText(engine), `plan ${named?.name ?? "none"}: ${reason}`], command);
    warn(notices, command);
    const generated = await runAll(engine, prepared, { command, signal });
    const report = await reportOf(engine, prepared, generated);
    const files = await writeResults(engine, generated, command);
    tell({ report, text: describeReport(report), files }, command);
  } finally {
    await engine.close();
  }
}

/** What the library is asked for; of a file with noise, all its rows. */
async function optionsOf(command: GenerateCommand): Promise<GenerateOptions> {
  const { labels, count, seed, steps, guidance, trueGuidance, conditions, solver: sampler } =
    command;
  const { prompts, prompt2, negativePrompt, grid, parallel } = command;
  const plan = await readWantedPlan(command) ?? command.plan;
  const policy = command.policy && await readPolicy(command.policy);
  const wanted = {
    sampler,
    steps,
    guidance,
    trueGuidance,
    plan,
    policy,
    parallel,
    grid,
    prompts,
    prompt2,
    negativePrompt,
    ...await readEdit(command),
  };
  const isPrompted = prompts !== undefined;
  const given = conditions === undefined ? {} : await readGiven(conditions, { isPrompted });
  return given.noise === undefined
    ? { ...wanted, seed, labels, count, ...given }
    : { ...wanted, ...given };
}

/** Refuses, before sessions are loaded, what this model cannot do. */
async function expectAble(
  model: Model,
  command: GenerateCommand,
): Promise<void> {
  const { fingerprint, labels = [], conditions, out, prompts, prompt2, negativePrompt } = command;
  const actual = await model.fingerprint();
  if (fingerprint !== undefined && fingerprint !== actual) {
    throw new AssetError(
      `Cannot repeat the picture: the model must be ${fingerprint} (give it by --model): ` +
        `current value is ${actual}`,
    );
  }
  if (out !== undefined) expectPixels(model, out);
  if (conditions === undefined || model.classes > 0) {
    const encodes = model.text !== undefined;
    promptsOf(model, { prompts, prompt2, negativePrompt, labels: command.labels }, { encodes });
  }
  if (conditions !== undefined || model.classes === 0) return; // refused when the run is prepared
  for (const label of labels) resolveLabel(model, label);
}

/** Runs all batches under a progress bar. */
async function runAll(
  engine: Engine,
  prepared: PreparedRun,
  { command, signal }: { readonly command: GenerateCommand; readonly signal: AbortSignal },
): Promise<Generated> {
  const output = command.out === undefined ? "latents" : "pictures";
  const { hear: onPreparing } = startPreparing(progressOutput(command)); // the bar replaces its line
  const run = engine.run(prepared, { signal, output, onPreparing });
  return await withProgress(
    { total: engine.stepsOf(prepared), ...command },
    (step) => runToEnd(run, ({ done }) => step(done)),
  );
}

async function writeResults(
  engine: Engine,
  generated: Generated,
  command: GenerateCommand,
): Promise<WrittenFile[]> {
  const { pictures, latents, labels, seeds: [seed] } = generated;
  const files: WrittenFile[] = [];
  if (command.out !== undefined) {
    const record = recordOf(generated, { labels, seed }, await engine.recordFacts());
    const grid = tileGrid(pictures);
    await writeWhole(command.out, [await encodePng(grid, recordText(record))]);
    const { width, height } = pictures[0]!; // at least one was asked for
    const size = [counted(pictures.length, "picture"), `${width} × ${height}`];
    const what = [...size, ...(grid.scale > 1 ? [`enlarged × ${grid.scale}`] : [])].join(", ");
    files.push({ path: command.out, what });
  }
  if (command.latents !== undefined) {
    await writeWhole(command.latents, encodeSafetensors(new Map([["latents", latents]])));
    files.push({ path: command.latents, what: `latents ${latents.dims.join(" × ")}` });
  }
  return files;
}
