/**
 * Diffusers' `scheduler_config.json`, by the class that it names.
 */

import { z } from "npm:zod@4.6.7";
import { checkJson } from "../assets/json.ts";
import { AssetError } from "../errors.ts";
import type {
  NoisePrediction,
  NoiseSampler,
  NoiseSpacing,
  SamplerConfig,
  SigmaShift,
} from "./config.ts";
import {
  ddimSchema,
  deisSchema,
  dpmSchema,
  flowDpmSchema,
  flowEulerSchema,
  flowHeunSchema,
  flowUnipcSchema,
  heunSchema,
  unipcSchema,
} from "./scheduler_schemas.ts";

/** What the model that a scheduler is made for predicts. */
export type Predicts = "noise" | "velocity";

/** One of diffusers' schedulers: by what the model predicts, refuses every key that requests what we do not compute. */
type Scheduler = Readonly<Partial<Record<Predicts, (json: unknown) => SamplerConfig>>>;

const FILE = "scheduler_config.json";
/** Diffusers' schedulers that we compute, by `_class_name`. */
const SCHEDULERS: ReadonlyMap<string, Scheduler> = new Map<string, Scheduler>([
  ["DDIMScheduler", {
    noise: (json) => {
      const c = checkJson(json, ddimSchema, FILE);
      return noiseConfig("ddim", { ...c, ends: c.set_alpha_to_one });
    },
  }],
  ["DPMSolverMultistepScheduler", {
    noise: (json) => {
      const c = checkJson(json, dpmSchema, FILE);
      return noiseConfig(c.solver_order === 3 ? "dpmpp-3m" : "dpmpp-2m", { ...c, ends: endsOf(c) });
    },
    velocity: (json) => {
      const c = checkJson(json, flowDpmSchema, FILE);
      const name = c.solver_order === 3 ? "flow-dpmpp-3m" : "flow-dpmpp-2m";
      return { name, shift: shiftOf({ ...c, shift: c.flow_shift }) };
    },
  }],
  ["UniPCMultistepScheduler", {
    noise: (json) => {
      const c = checkJson(json, unipcSchema, FILE);
      const name = UNIPC[`${c.solver_order} ${c.solver_type}`];
      return noiseConfig(name, { ...c, ends: endsOf(c) });
    },
    velocity: (json) => {
      const c = checkJson(json, flowUnipcSchema, FILE);
      const name = c.solver_order === 3 ? "flow-unipc-3" : "flow-unipc";
      return { name, shift: shiftOf({ ...c, shift: c.flow_shift }) };
    },
  }],
  ["DEISMultistepScheduler", {
    noise: (json) => {
      const c = checkJson(json, deisSchema, FILE);
      return noiseConfig(c.solver_order === 3 ? "deis-3" : "deis", { ...c, ends: false });
    },
  }],
  ["HeunDiscreteScheduler", {
    noise: (json) => noiseConfig("heun", { ...checkJson(json, heunSchema, FILE), ends: true }),
  }],
  ["FlowMatchEulerDiscreteScheduler", {
    velocity: (json) => ({
      name: "flow-euler",
      shift: shiftOf(checkJson(json, flowEulerSchema, FILE)),
    }),
  }],
  ["FlowMatchHeunDiscreteScheduler", {
    velocity: (json) => {
      const { shift } = checkJson(json, flowHeunSchema, FILE);
      return { name: "flow-heun", shift: { kind: "static", shift } };
    },
  }],
]);

const UNIPC = {
  "2 bh2": "unipc",
  "3 bh2": "unipc-3",
  "2 bh1": "unipc-bh1",
  "3 bh1": "unipc-3-bh1",
} as const;
const PREDICTIONS = { epsilon: "epsilon", v_prediction: "v", sample: "x0" } as const;

function endsOf({ final_sigmas_type }: { readonly final_sigmas_type: string }): boolean {
  return final_sigmas_type === "zero";
}

/** What is read of a scheduler of a model that predicts noise. */
interface NoiseFacts {
  readonly beta_start: number;
  readonly beta_end: number;
  readonly beta_schedule: NoiseSpacing["betas"]["curve"];
  readonly steps_offset: number;
  readonly prediction_type: keyof typeof PREDICTIONS;
  readonly timestep_spacing: "leading" | "trailing" | "linspace";
  readonly use_karras_sigmas?: boolean;
  readonly use_exponential_sigmas?: boolean;
  readonly use_beta_sigmas?: boolean;
  readonly use_lu_lambdas?: boolean;
  /** Whether no noise is left at the end. */
  readonly ends: boolean;
}

function noiseConfig(name: NoiseSampler, facts: NoiseFacts): SamplerConfig {
  const predicts: NoisePrediction = PREDICTIONS[facts.prediction_type];
  return {
    name,
    ...(predicts !== "epsilon" && { predicts }),
    spacing: {
      kind: spreadOf(name, facts) ?? facts.timestep_spacing,
      offset: facts.steps_offset,
      endsAtOne: facts.ends,
      betas: { first: facts.beta_start, last: facts.beta_end, curve: facts.beta_schedule },
    },
  };
}

/** What is spread instead of times. @throws {AssetError} When two things are. */
function spreadOf(name: NoiseSampler, facts: NoiseFacts): NoiseSpacing["kind"] | undefined {
  const wanted = ([
    ["karras", "use_karras_sigmas"],
    ["exponential", "use_exponential_sigmas"],
    ["beta", "use_beta_sigmas"],
    ["log-snr", "use_lu_lambdas"],
  ] as const).filter(([, key]) => facts[key]);
  if (wanted.length > 1) {
    refuse(`only one of ${wanted.map(([, key]) => key).join(" and ")} must be true`);
  }
  const [first] = wanted;
  if (first !== undefined && name === "heun" && facts.timestep_spacing !== "linspace") {
    refuse(
      `timestep_spacing must be "linspace" with ${
        first[1]
      }: current value is ${facts.timestep_spacing}`,
    );
  }
  return first?.[0];
}

function refuse(fault: string): never {
  throw new AssetError(`Cannot read ${FILE}: ${fault}`);
}

/** What is read of a flow's shift. */
interface ShiftFacts {
  readonly shift: number;
  readonly use_dynamic_shifting: boolean;
  readonly base_shift: number;
  readonly max_shift: number;
  readonly base_image_seq_len: number;
  readonly max_image_seq_len: number;
}

function shiftOf(c: ShiftFacts): SigmaShift {
  if (!c.use_dynamic_shifting) return { kind: "static", shift: c.shift };
  return {
    kind: "dynamic",
    baseShift: c.base_shift,
    maxShift: c.max_shift,
    baseTokens: c.base_image_seq_len,
    maxTokens: c.max_image_seq_len,
  };
}

const named = z.looseObject({ _class_name: z.string().regex(/^\w{1,100}$/) });

/**
 * Reads a diffusers scheduler.
 *
 * @param predicts What the model predicts.
 * @throws {AssetError} When it is none for such a model, or asks for what we do not compute.
 */
export function parseScheduler(json: unknown, predicts: Predicts): SamplerConfig {
  const { _class_name: name } = checkJson(json, named, FILE);
  const read = SCHEDULERS.get(name)?.[predicts];
  if (read !== undefined) return read(json);
  const supported = [...SCHEDULERS].filter(([, known]) => known[predicts] !== undefined);
  throw new AssetError(
    `Cannot read ${FILE}: ${name} is not supported for a model that predicts ${predicts}; supported are ` +
      `${supported.map(([known]) => known).join(", ")} (sampler "original" needs none)`,
  );
}
