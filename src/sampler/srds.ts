/**
 * Self-refining diffusion samplers: the steps of a run are cut into segments, which are computed beside each other.
 *
 * One long step across each segment gives every segment a latent to begin from. Then all segments take their own steps
 * at the same time, and a sweep of long steps carries what they found from one to the next. Each round makes one more
 * segment exact: after p rounds the first p are those of the steps one after another.
 *
 * *Source:* Selvam et al., arXiv 2412.08292.
 */

import type { Tensor } from "../tensor/tensor.ts";
import { linearSampler } from "./linear.ts";
import { firstOrder, type Prediction } from "./path.ts";
import type { Sampler, SamplerState } from "./sampler.ts";

/** A run that is cut. */
export interface Segmented {
  /** Its steps, which keep nothing for later ones. */
  readonly fine: Sampler;
  /** One step across each segment. */
  readonly coarse: Sampler;
  /** How many segments there are. */
  readonly segments: number;
  /** Steps of each. */
  readonly length: number;
}

/** A latent at a step of the run. */
export interface Row {
  readonly index: number;
  readonly latent: Tensor;
}

/** One call of the model. */
export interface Call {
  /** The step of its last row. */
  readonly index: number;
  /** The result of the run as far as it is known; in the first sweep the latent that this came to. */
  readonly latent: Tensor;
  /** The picture as the last row foresees it. */
  readonly estimate: Tensor;
  /** All calls so far, and the rows that they had. */
  readonly count: CallCount;
}

/** Calls of the model one after another, and the latents that it was called with. */
export interface CallCount {
  readonly calls: number;
  readonly evaluations: number;
}

/** What a run came to. */
export interface Refined extends CallCount {
  readonly latent: Tensor;
  /** Rounds of the segments' own steps. */
  readonly rounds: number;
}

/** How a run is refined. */
export interface Refinement {
  readonly noise: Tensor;
  /** The model's prediction for each row, all of them in one call. */
  readonly denoise: (rows: readonly Row[]) => Promise<readonly Tensor[]>;
  /** What becomes of a latent after a step: parts that a mask keeps are put back. */
  readonly restore?: ((state: SamplerState) => Tensor) | undefined;
  /** Rounds end where the result moved by less on average, in units of the latent; 0: where it is exact. */
  readonly threshold: number;
}

/** The number of segments nearest to the root of the steps of those that divide them, at most `most`. */
export function usualSegments(steps: number, most: number): number {
  const dividing = Array.from({ length: Math.min(most, steps) }, (_, i) => i + 1)
    .filter((count) => steps % count === 0);
  const far = (count: number): number => Math.abs(Math.log(count) - Math.log(steps) / 2);
  return dividing.reduce((best, count) => far(count) < far(best) ? count : best); // 1 divides
}

/** Whether a sampler's steps can be cut: none of them looks at those before. */
export function isOneStep({ linear }: Sampler): boolean {
  return linear.every(({ history }) => history.length === 0);
}

/** Cuts the steps of a sampler, which `segments` divides; what the model predicts says where long steps lead. */
export function segmented(
  fine: Sampler,
  { segments, predicts }: { readonly segments: number; readonly predicts: Prediction },
): Segmented {
  const length = fine.times.length / segments;
  const times = fine.times.filter((_, step) => step % length === 0);
  const points = fine.points.filter((_, step) => step % length === 0); // the last one is the result's
  const coarse = linearSampler({ times, points }, firstOrder({ times, points, predicts }));
  return { fine, coarse, segments, length };
}

/** Calls one after another where no round ends early: the first sweep, then rounds with ever shorter ones. */
export function mostCalls({ segments, length }: Pick<Segmented, "segments" | "length">): number {
  return segments + segments * length + segments * (segments - 1) / 2;
}

/** What is known of each segment. */
interface Known {
  /** Where segment i begins, and in the end the result. */
  readonly ends: Tensor[];
  /** What the last long step made of where segment i begins. */
  readonly leaps: Tensor[];
}

/** A run, its model, and how often that was called. */
interface Task extends Segmented, Omit<Refinement, "noise"> {
  readonly count: { calls: number; evaluations: number };
}

/** Runs to the result, yielding after each call of the model; a call is made only when it is requested. */
export async function* refine(
  run: Segmented,
  { noise, ...how }: Refinement,
): AsyncGenerator<Call, Refined, undefined> {
  const task: Task = { ...run, ...how, count: { calls: 0, evaluations: 0 } };
  const { segments, threshold, count } = task;
  const known: Known = { ends: [noise], leaps: [] };
  yield* sweep(task, known);
  for (let rounds = 1;; rounds++) {
    const before = known.ends[segments]!; // set by the sweep
    const first = rounds - 1; // those before it are exact
    const made = yield* ownSteps(task, known, first);
    // Its long step would be taken off as it was added, for it begins where it did.
    known.ends[rounds] = made[0]!;
    yield* sweep(task, known, { from: rounds, made: made.slice(1) });
    const latent = known.ends[segments]!;
    if (rounds === segments || meanDistance(latent, before) < threshold) {
      return { latent, rounds, ...count };
    }
  }
}

/** Each segment's own steps from the first on, all segments in one call; returns what they end with. */
async function* ownSteps(
  { fine, length, segments, restore, ...task }: Task,
  { ends }: Known,
  first: number,
): AsyncGenerator<Call, readonly Tensor[], undefined> {
  let rows = ends.slice(first, segments);
  for (let step = 0; step < length; step++) {
    const asked = rows.map((latent, row) => ({ index: (first + row) * length + step, latent }));
    const predictions = await call(task, asked);
    const advances = asked.map(({ index, latent }, row) =>
      fine.advance({ index, latent, history: [] }, predictions[row]!) // one for each
    );
    rows = advances.map(({ state }) => restore?.(state) ?? state.latent);
    const [{ index }, { estimate }] = [asked.at(-1)!, advances.at(-1)!]; // there is a segment
    const latent = rows.length === 1 ? rows[0]! : ends[segments]!; // the last segment ends with the result
    yield { index, latent, estimate, count: { ...task.count } };
  }
  return rows;
}

/** Long steps one after another; where segments took their own steps, they move what those made. */
async function* sweep(
  { coarse, length, segments, restore, ...task }: Task,
  { ends, leaps }: Known,
  { from, made }: { readonly from: number; readonly made: readonly Tensor[] } = {
    from: 0,
    made: [],
  },
): AsyncGenerator<Call, void, undefined> {
  for (let segment = from; segment < segments; segment++) {
    const [index, latent] = [segment * length, ends[segment]!]; // the segment before has ended
    const [prediction] = await call(task, [{ index, latent }]);
    const advance = coarse.advance({ index: segment, latent, history: [] }, prediction!);
    const state = { ...advance.state, index: index + length }; // on the run's own steps
    const leap = restore?.(state) ?? state.latent;
    const own = made[segment - from];
    ends[segment + 1] = own === undefined ? leap : moved(own, leap, leaps[segment]!);
    leaps[segment] = leap;
    const result = ends[segments] ?? leap;
    yield { index, latent: result, estimate: advance.estimate, count: { ...task.count } };
  }
}

async function call(
  { denoise, count }: Pick<Task, "denoise" | "count">,
  rows: readonly Row[],
): Promise<readonly Tensor[]> {
  const predictions = await denoise(rows);
  count.calls++;
  count.evaluations += rows.length;
  return predictions;
}

/** What a segment's steps made, and how far its long step has moved since. */
function moved({ dims, data }: Tensor, now: Tensor, before: Tensor): Tensor {
  return { dims, data: data.map((value, i) => value + (now.data[i]! - before.data[i]!)) }; // of one shape
}

/** The mean of |a − b|. */
function meanDistance(a: Tensor, b: Tensor): number {
  return a.data.reduce((sum, value, i) => sum + Math.abs(value - b.data[i]!), 0) / a.data.length;
}
