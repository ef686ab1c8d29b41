/**
 * A sampler: a list of times, and a rule that takes a latent from one of them to the next.
 *
 * A solver is pure arithmetic on an explicit state. It never calls the model itself: the one loop below does, so
 * that a run can be stopped after any step, kept, and continued from there, by calibration or elsewhere.
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { Point } from "./path.ts";
import type { LinearStep } from "./linear_step.ts";

/** A call of the model: its place in the run, and the time that the model is given. */
export interface StepTime {
  /** 0 is the noisiest step. */
  readonly index: number;
  /** Timestep value. */
  readonly time: number;
}

/** All that the rest of a run depends on: plain numbers, which may be copied, stored and sent. */
export interface SamplerState {
  /** The next step; as many as there are times when the run is over. */
  readonly index: number;
  /** What the model is given at that step, `(n, C, H, W)`; not written to again. */
  readonly latent: Tensor;
  /**
   * What the solver keeps of earlier steps, in an order of its own, such as the estimate before; empty at the start
   * and for solvers that look at one step at a time.
   */
  readonly history: readonly Tensor[];
}

export interface Advance {
  readonly state: SamplerState;
  /** The final latent as predicted at this step (DiT's `pred_xstart`), same shape. */
  readonly estimate: Tensor;
}

/**
 * A solver with its schedule.
 *
 * A step is one call of the model, whatever the solver. One that calls it twice to cross an interval (Heun's
 * method, single-step DPM-Solver) takes two steps for it, as diffusers' `HeunDiscreteScheduler` does, and keeps
 * what lies between them in the history. So each call has its row of a plan, its conditioning, its weight and its
 * report, and a run of n steps costs the same whatever the solver.
 *
 * Times are data and an update sees nothing but a state and a prediction, so that times and update coefficients can
 * as well come from a file, such as a plan that was calibrated together with them.
 */
export interface Sampler {
  /** Time of each step, noisiest first; as many as were asked for. */
  readonly times: readonly number[];
  /** Shares of signal and noise in the latent at each step, and after the last. */
  readonly points: readonly Point[];
  /** By step: whether it takes a prediction of the model; absent = every step does. */
  readonly calls?: readonly boolean[];
  /** By step: how far the latent moves for a change of the prediction by one. */
  readonly weights: readonly number[];
  /** By step: the same update as weighted sums, for a device or a plan; {@linkcode advance} may round otherwise. */
  readonly linear: readonly LinearStep[];
  /**
   * Takes a state over one step. Arithmetic is float32 in the order of the solver's source, so that every runtime
   * makes the same latents.
   *
   * @param prediction The model's, guided, of the shape of the latent; where the model is not called it counts for
   * nothing.
   */
  advance(state: SamplerState, prediction: Tensor): Advance;
}

/** Predicts the noise, or the velocity, in a latent `(n, C, H, W)`; same shape. */
export type Denoise = (latent: Tensor, at: StepTime) => Promise<Tensor>;

export interface SamplerStep extends StepTime, Advance {}

/** The state before the first step. */
export function startOf(noise: Tensor): SamplerState {
  return { index: 0, latent: noise, history: [] };
}

/** How a sampler is run. */
export interface SamplingLoop {
  readonly start: SamplerState;
  readonly denoise: Denoise;
  /** What becomes of the latent after a step, before the next: parts that a mask keeps are put back. */
  readonly restore?: ((state: SamplerState) => Tensor) | undefined;
}

/** Runs from a state to the end, yielding after each step; a step runs only when it is requested. */
export async function* sampleSteps(
  sampler: Sampler,
  { start, denoise, restore }: SamplingLoop,
): AsyncGenerator<SamplerStep, void, undefined> {
  let state = start;
  for (const [index, time] of sampler.times.entries()) {
    if (index < start.index) continue;
    const called = sampler.calls?.[index] !== false;
    const prediction = called ? await denoise(state.latent, { index, time }) : state.latent;
    const advance = sampler.advance(state, prediction);
    state = advance.state;
    if (restore !== undefined) state = { ...state, latent: restore(state) };
    yield { index, time, ...advance, state };
  }
}
