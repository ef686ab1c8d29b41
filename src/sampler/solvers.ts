/**
 * The solvers by name, and the sampler of a configuration.
 */

import {
  FLOW_SAMPLERS,
  type FlowSampler,
  NOISE_SAMPLERS,
  type NoisePrediction,
  type NoiseSampler,
  type NoiseSpacing,
  type SamplerConfig,
} from "./config.ts";
import { ddim } from "./ddim.ts";
import { deis } from "./deis.ts";
import { dpmSolver } from "./dpm_solver.ts";
import { flowEuler } from "./flow_euler.ts";
import { dpmFlowPath, givenFlowPath, heunFlowPath, unipcFlowPath } from "./flow_path.ts";
import { evenSigmas, type FlowOptions, flowSchedule, NO_SHIFT } from "./flow_schedule.ts";
import { doubled, heun } from "./heun.ts";
import { linearSampler } from "./linear.ts";
import type { LinearStep } from "./linear_step.ts";
import { heunPath, multistepPath } from "./noise_path.ts";
import { linearSchedule, type NoiseSchedule } from "./noise_schedule.ts";
import { type Path, pointOfShare } from "./path.ts";
import { scheduleAt } from "./real_times.ts";
import type { Sampler } from "./sampler.ts";
import { spacedSchedule } from "./spaced_schedule.ts";
import { unipc } from "./unipc.ts";

/** A multistep solver: the steps of a path. */
type Multistep = (path: Path) => readonly LinearStep[];

const SECOND_ORDER: Multistep = (path) => dpmSolver(path, 2);
const THIRD_ORDER: Multistep = (path) => dpmSolver(path, 3);

const MULTISTEP: Readonly<Record<Exclude<NoiseSampler, "ddim" | "heun">, Multistep>> = {
  "dpmpp-2m": SECOND_ORDER,
  "dpmpp-3m": THIRD_ORDER,
  "unipc": (path) => unipc(path, { order: 2, kind: "bh2" }),
  "unipc-3": (path) => unipc(path, { order: 3, kind: "bh2" }),
  "unipc-bh1": (path) => unipc(path, { order: 2, kind: "bh1" }),
  "unipc-3-bh1": (path) => unipc(path, { order: 3, kind: "bh1" }),
  "deis": (path) => deis(path, 2),
  "deis-3": (path) => deis(path, 3),
};
const FLOW_MULTISTEP = {
  "flow-dpmpp-2m": { pathOf: dpmFlowPath, solve: SECOND_ORDER },
  "flow-dpmpp-3m": { pathOf: dpmFlowPath, solve: THIRD_ORDER },
  "flow-unipc": { pathOf: unipcFlowPath, solve: MULTISTEP.unipc },
  "flow-unipc-3": { pathOf: unipcFlowPath, solve: MULTISTEP["unipc-3"] },
} satisfies Record<
  string,
  { pathOf: (steps: number, options: FlowOptions) => Path; solve: Multistep }
>;

export const samplerNames: readonly string[] = [...NOISE_SAMPLERS, ...FLOW_SAMPLERS];

export interface SamplingRequest {
  /** Calls of the model. */
  readonly steps: number;
  /** Times in 0 … 999, falling, instead of those of the spacing; only where noise is predicted. */
  readonly times?: readonly number[] | undefined;
  /** Sigmas before the shift, instead of evenly spaced ones; flow matching only. */
  readonly sigmas?: readonly number[] | undefined;
  /** Tokens of a picture: some schedules shift by them. */
  readonly tokens: number;
  /**
   * Calls that are left out at the beginning, for a run that begins from a picture: fewer than there are. The others
   * keep their times; a solver that looks back begins there with nothing to look back to.
   */
  readonly from?: number | undefined;
}

/**
 * Makes a sampler.
 *
 * @throws {RangeError} When steps or sigmas do not fit, or the sampler has none.
 */
export function makeSampler(config: SamplerConfig, request: SamplingRequest): Sampler {
  const { name } = config;
  if (!hasFixedTimes(name)) return flowSampler({ ...config, name }, request);
  const { steps, sigmas, times, from = 0 } = request;
  if (sigmas !== undefined) refuse("sigmas", name);
  const { spacing, predicts = "epsilon" } = config;
  if (times !== undefined) {
    return samplerAt(restOfSchedule(scheduleAt(times, spacing), from), { name, predicts });
  }
  if (name === "ddim") {
    const schedule = spacing ? spacedSchedule(steps, spacing) : linearSchedule(steps);
    return ddim(restOfSchedule(schedule, from), predicts);
  }
  const options = { spacing: spacing ?? ORIGINAL_SPACING, predicts };
  return name === "heun"
    ? heunSampler(heunPath(intervalsOf(steps, name), options), from)
    : pathSampler(restOfPath(multistepPath(steps, options), from), MULTISTEP[name]);
}

function restOfSchedule(
  { times, alphaBars, alphaBarsNext }: NoiseSchedule,
  from: number,
): NoiseSchedule {
  return {
    times: times.slice(from),
    alphaBars: alphaBars.slice(from),
    alphaBarsNext: alphaBarsNext.slice(from),
  };
}

function restOfPath({ times, points, predicts }: Path, from: number): Path {
  return { times: times.slice(from), points: points.slice(from), predicts };
}

/** A sampler at given times. */
function samplerAt(
  schedule: NoiseSchedule,
  { name, predicts }: { readonly name: NoiseSampler; readonly predicts: NoisePrediction },
): Sampler {
  if (name === "ddim") return ddim(schedule, predicts);
  if (name === "heun") refuse("times", name);
  const points = [...schedule.alphaBars, ...schedule.alphaBarsNext.slice(-1)].map(pointOfShare);
  return pathSampler({ times: schedule.times, points, predicts }, MULTISTEP[name]);
}

/** Where a model's authors have no such solver: diffusers' default over their betas. */
export const ORIGINAL_SPACING: NoiseSpacing = {
  kind: "linspace",
  offset: 0,
  endsAtOne: true,
  betas: { first: 1e-4, last: 0.02, curve: "linear" },
};

/**
 * Whether a sampler of this name visits the same times for every picture; a flow's sigmas may be given, and may
 * shift with the picture's size.
 */
export function hasFixedTimes(name: string): name is NoiseSampler {
  return NOISE_SAMPLERS.some((known) => known === name);
}

/** Names of the solvers that a model of this one may be sampled by. */
export function samplersBeside(name: string): readonly string[] {
  return hasFixedTimes(name) ? NOISE_SAMPLERS : FLOW_SAMPLERS;
}

/** Whether a sampler visits these times, as far as that is known without a picture's size. */
export function mayVisit(config: SamplerConfig, times: readonly number[]): boolean {
  if (!hasFixedTimes(config.name)) return true;
  if (times.length < 1 || times.length > 1000) return false;
  if (config.name === "heun" && times.length % 2 === 0) return false;
  return `${makeSampler(config, { steps: times.length, tokens: 0 }).times}` === `${times}`;
}

function flowSampler(
  { name, shift = NO_SHIFT }: SamplerConfig & { readonly name: FlowSampler },
  { steps, sigmas, tokens, from = 0 }: SamplingRequest,
): Sampler {
  const options = { shift, tokens };
  if (name === "flow-heun") {
    if (sigmas !== undefined) refuse("sigmas", name);
    return heunSampler(heunFlowPath(intervalsOf(steps, name), options), from);
  }
  if (sigmas !== undefined && sigmas.length !== steps) {
    throw new RangeError(
      `Cannot sample: sigmas must be ${steps}, one for each step: current value is ${sigmas.length}`,
    );
  }
  if (name === "flow-euler") {
    const { sigmas: all, times } = flowSchedule(sigmas ?? evenSigmas(steps), options);
    return flowEuler({ sigmas: all.slice(from), times: times.slice(from) });
  }
  const { pathOf, solve } = FLOW_MULTISTEP[name];
  const given = sigmas && givenFlowPath(flowSchedule(sigmas, options));
  return pathSampler(restOfPath(given ?? pathOf(steps, options), from), solve);
}

function pathSampler(path: Path, solve: Multistep): Sampler {
  return linearSampler(path, solve(path));
}

/** Heun's method from the interval of a call on: one that begins with its second call begins with its first. */
function heunSampler(path: Path, from: number): Sampler {
  const rest = restOfPath(path, Math.floor(from / 2));
  return linearSampler(doubled(rest), heun(rest));
}

/** Intervals that Heun's method crosses in so many calls. */
function intervalsOf(steps: number, name: string): number {
  if (steps % 2 === 1) return (steps + 1) / 2;
  throw new RangeError(
    `Cannot make schedule: steps of ${name} must be odd, for each interval but the last takes two: ` +
      `current value is ${steps}`,
  );
}

function refuse(what: "sigmas" | "times", name: string): never {
  throw new RangeError(`Cannot sample: ${what} must not be given to ${name}`);
}
