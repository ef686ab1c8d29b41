/**
 * Trial runs: the same conditions with different steps, each compared with the full run.
 */

import type { Executor } from "../engine/executor.ts";
import { FeatureCache } from "../engine/feature_cache.ts";
import type { ResolvedRequest } from "../engine/request.ts";
import { conditionRun, type Run, sampleFrom } from "../engine/run.ts";
import { fullSteps } from "../engine/segment/step_segments.ts";
import type { ConditioningTable } from "../engine/conditioning.ts";
import type { Model } from "../model/model.ts";
import type { Step } from "../plan/compile.ts";
import { type SamplerState, startOf } from "../sampler/sampler.ts";
import { meanPsnr } from "../image/psnr.ts";

export interface TrialSubject {
  readonly model: Model;
  readonly executor: Executor;
  /** Labels, seed or noise, steps and guidance of every trial. */
  readonly request: ResolvedRequest;
  readonly signal?: AbortSignal | undefined;
}

/** The sampler's state before each step, and after the last one. */
export type SamplerStates = readonly SamplerState[];

/** Conditions with their full run. */
export interface Trials {
  readonly subject: TrialSubject;
  /** Times at which the model is called, noisiest first. */
  readonly times: readonly number[];
  readonly table: ConditioningTable;
  /** The full run: `steps + 1` states. */
  readonly full: SamplerStates;
}

/** Runs the conditions in full. */
export async function openTrials(subject: TrialSubject): Promise<Trials> {
  const { model, request } = subject;
  const steps = fullSteps(request.steps, model.transformer.modules.length);
  const table = await conditionRun(runOf(subject, steps));
  const state = startOf(request.noise);
  const states = await collect(runOf(subject, steps), { table, state });
  return { subject, times: request.sampler.times, table, full: [state, ...states] };
}

/**
 * Runs the conditions under other steps, from the last of the states that are known.
 *
 * @returns All states of the trial, `steps + 1`.
 */
export async function trial(
  { subject, table, full }: Trials,
  steps: readonly Step[],
  known: SamplerStates = full.slice(0, 1),
): Promise<SamplerStates> {
  return [...known, ...await collect(runOf(subject, steps), { table, state: known.at(-1)! })];
}

/** Mean PSNR in dB of a trial's final latents to those of the full run. */
export function psnrToFull({ full }: Trials, trajectory: SamplerStates): number {
  return meanPsnr(trajectory.at(-1)!.latent, full.at(-1)!.latent); // trajectories are never empty
}

/** A run over the trials' conditions with a cache of its own. */
export function runOf(
  { model, executor, request, signal }: TrialSubject,
  steps: readonly Step[],
): Run {
  return { model, executor, request, steps, features: new FeatureCache(), signal };
}

async function collect(run: Run, start: Parameters<typeof sampleFrom>[1]): Promise<SamplerState[]> {
  const states: SamplerState[] = [];
  for await (const { state } of sampleFrom(run, start)) states.push(state);
  return states;
}
