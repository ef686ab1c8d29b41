/**
 * What a reused output leaves, and how it is repaired, measured on runs: ERTACache's rule without a model.
 */

import type { LinearStep } from "../../sampler/linear_step.ts";
import { type Sampler, type SamplerState, startOf } from "../../sampler/sampler.ts";
import type { Schedule } from "./schedule.ts";

/** Runs that begin from the same noise, at the times of a sampler. */
export interface Runs {
  /** Numbers of all of them. */
  readonly noise: Float32Array;
  /** What a solver receives for these latents. */
  predict(latents: Float32Array, time: number): Promise<Float32Array>;
  close(): void;
}

/** What is reused, and how it is repaired. */
export interface Repair {
  readonly times: readonly number[];
  /** By step. */
  readonly reused: readonly boolean[];
  /** By step: its length over that of a computed one, 1 where it is computed. */
  readonly lengths: readonly number[];
  /** By step: what of a reused output is error, 0 where it is computed. */
  readonly slopes: readonly number[];
  /** By step: weights of the latent and of the last computed output; `null` where it is computed. */
  readonly forecast: readonly (readonly number[] | null)[];
}

export interface RepairOptions {
  readonly threshold: number;
  readonly samplerAt: (times: readonly number[]) => Sampler;
  readonly open: (sampler: Sampler) => Promise<Runs>;
}

/**
 * Chooses what to reuse and measures how to repair it, in three runs of the model over all steps.
 *
 * @throws {RangeError} When the sampler looks back at earlier steps.
 */
export async function repairReuse(
  { times }: Schedule,
  { threshold, samplerAt, open }: RepairOptions,
): Promise<Repair> {
  const sampler = samplerAt(times);
  expectFirstOrder(sampler);
  const runs = await open(sampler);
  let replayed: Replay;
  try {
    replayed = await replay({ sampler, runs }, {
      magnitudes: await residualsOf({ sampler, runs }),
      threshold,
    });
  } finally {
    runs.close();
  }
  const { reused, lengths } = replayed;
  const moved = movedTimes(times, lengths);
  const path = samplerAt(moved);
  const again = await open(path);
  try {
    const slopes = await fitSlopes({ sampler: path, runs: again }, reused);
    return {
      times: moved,
      reused,
      lengths,
      slopes,
      forecast: forecastOf(path.linear, { reused, slopes }),
    };
  } finally {
    again.close();
  }
}

interface Subject {
  readonly sampler: Sampler;
  readonly runs: Runs;
}

/** By step of the full run: the sum over all numbers of |output − latent|. */
async function residualsOf({ sampler, runs }: Subject): Promise<readonly number[]> {
  const magnitudes: number[] = [];
  await follow({ sampler, runs }, ({ latent, output }) => {
    magnitudes.push(distance(output, latent));
    return output;
  });
  return magnitudes;
}

type Replay = Pick<Repair, "reused" | "lengths">;

/** Runs with reuse, and what the model would have said at each step beside it. */
async function replay(
  subject: Subject,
  { magnitudes, threshold }: { readonly magnitudes: readonly number[]; readonly threshold: number },
): Promise<Replay> {
  const [reused, lengths]: [boolean[], number[]] = [[], []];
  let [held, before]: [Float32Array | undefined, Float32Array | undefined] = [undefined, undefined];
  const { length: steps } = magnitudes;
  await follow(subject, ({ index, latent, output }) => {
    const kept = held && sum(latent, held);
    const isNear = kept !== undefined && distance(kept, output) < threshold * magnitudes[index]!;
    reused.push(isNear);
    const change = before === undefined ? 0 : distance(output, before);
    const error = isNear ? distance(kept, output) : 0;
    // The last step ends where the schedule ends, however well it is reused.
    const isMoved = isNear && error > 0 && index < steps - 1;
    lengths.push(isMoved ? Math.max(SHORTEST, 1 - error / change) : 1);
    before = output;
    if (isNear) return kept;
    held = difference(output, latent);
    return output;
  });
  return { reused, lengths };
}

/** A reused step is at least so long: times of a plan fall. */
const SHORTEST = 0.01;

/** By reused step, on the moved times and with earlier ones repaired: error ≈ slope × reused output. */
async function fitSlopes(subject: Subject, reused: readonly boolean[]): Promise<readonly number[]> {
  const slopes: number[] = [];
  let held = new Float32Array();
  await follow(subject, ({ index, latent, output }) => {
    if (!reused[index]) {
      held = difference(output, latent);
      slopes.push(0);
      return output;
    }
    const kept = sum(latent, held);
    let [together, square] = [0, 0];
    for (let i = 0; i < kept.length; i++) {
      together += (kept[i]! - output[i]!) * kept[i]!; // of one shape
      square += kept[i]! * kept[i]!;
    }
    const slope = square === 0 ? 0 : Number((together / square).toPrecision(DIGITS));
    slopes.push(slope);
    return kept.map((value) => (1 - slope) * value);
  });
  return slopes;
}

/** Digits of what is written into a plan. */
const DIGITS = 8;

/** Times after each step went as far as its share: positions on the schedule, straight between its times. */
export function movedTimes(
  times: readonly number[],
  lengths: readonly number[],
): readonly number[] {
  let [position, stride] = [0, 1];
  return times.map((_, step) => {
    const below = Math.floor(position);
    const part = position - below;
    const [from, to] = [times[below]!, times[below + 1] ?? 0]; // positions are those of steps
    const time = part === 0 ? from : Number((from + part * (to - from)).toPrecision(DIGITS));
    position += stride * lengths[step]!;
    stride = (times.length - position) / (times.length - step - 1);
    return time;
  });
}

/**
 * Weights that make a reused output of the latent and of the last computed output. What is reused is output − latent
 * of a computed step; its latent is not kept, but since then all was linear, so it is told by the latent of now:
 * x = P · xᶜ + Q · eᶜ.
 */
export function forecastOf(
  linear: readonly LinearStep[],
  { reused, slopes }: Pick<Repair, "reused" | "slopes">,
): Repair["forecast"] {
  let [p, q] = [1, 0];
  return linear.map(({ latent: [ofOutput = 0, ofLatent = 0] }, step) => {
    if (!reused[step]) {
      [p, q] = [ofLatent, ofOutput];
      return null;
    }
    const kept = 1 - slopes[step]!; // one for each step
    const [w, c] = [kept * (1 - 1 / p), kept * (1 + q / p)];
    const factor = ofLatent + ofOutput * w;
    [p, q] = [factor * p, factor * q + ofOutput * c];
    return [w, c];
  });
}

interface Visit {
  readonly index: number;
  readonly latent: Float32Array;
  /** The model's, for this latent. */
  readonly output: Float32Array;
}

/** Follows a sampler by outputs that may be others than the model's. */
async function follow(
  { sampler, runs }: Subject,
  choose: (visit: Visit) => Float32Array,
): Promise<void> {
  const dims = [runs.noise.length];
  let state: SamplerState = startOf({ dims, data: runs.noise });
  for (const [index, time] of sampler.times.entries()) {
    const latent = state.latent.data;
    const output = await runs.predict(latent, time);
    state = sampler.advance(state, { dims, data: choose({ index, latent, output }) }).state;
  }
}

/** What is reused is told by the latent of now only where a step looks at nothing else. */
function expectFirstOrder({ linear }: Sampler): void {
  if (linear.every(({ history }) => history.length === 0)) return;
  throw new RangeError(
    "Cannot calibrate: sampler must be of first order for policy ertacache, as ddim and flow-euler are: " +
      "current value is one that looks back",
  );
}

function distance(a: Float32Array, b: Float32Array): number {
  return a.reduce((all, value, i) => all + Math.abs(value - b[i]!), 0); // of one shape
}

function sum(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value + b[i]!); // of one shape
}

function difference(a: Float32Array, b: Float32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(a, (value, i) => value - b[i]!); // of one shape
}
