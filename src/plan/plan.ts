/**
 * A plan: which steps and modules of a diffusion transformer run, and which reuse what an earlier
 * step computed. Made once by calibration, kept as a small JSON file, read by every instance.
 */
import type { PlanColumns, TokenScore } from "./columns.ts";
import type { Row } from "./row.ts";

/** A parsed plan. Steps are in inference order: 0 is the noisiest. */
export interface Plan {
  /** Version of the format. A plan of version 2 owns its times: a run with it visits those, whatever its sampler's are. */
  readonly version: 1 | 2;
  /** Family of models that the module names belong to: `dit`, `flux`, … */
  readonly architecture: string;
  /** Fingerprints of the models that it is made for; empty = unbound: it shows but does not run. */
  readonly fingerprints: readonly string[];
  /** Names of all modules in execution order. */
  readonly modules: readonly string[];
  /** The sampler that it was made for. */
  readonly sampler: PlanSampler;
  /** Names of the model calls of one step, in call order; `["joint"]` for one call. */
  readonly slots: readonly string[];
  /** `rows[step][slot]`: a kept state is loaded, or each module runs or is reused. */
  readonly rows: readonly (readonly Row[])[];
  /** Numbers by step, which replace the solver's rule; version 2. */
  readonly columns?: PlanColumns;
  /** Which tokens partial cells compute; version 2. Absent = those that were computed longest ago. */
  readonly tokenScore?: TokenScore;
  /** The run that its cost is compared with; version 2. Absent = as many full steps as it has. */
  readonly reference?: PlanReference;
  /** Circumstances that are recorded and give a notice when they differ. */
  readonly context: PlanContext;
  /** The rule that chose the rows. */
  readonly policy: PlanPolicy;
  /** Where the recorded numbers that the rows are based on come from. */
  readonly calibration?: PlanCalibration;
  /** What to expect from it, measured. */
  readonly measured?: PlanMeasurement;
}

/** The parts of a plan that decide what its steps do. */
export type PlanRows = Pick<
  Plan,
  "modules" | "slots" | "rows" | "columns" | "tokenScore" | "reference"
>;

/** A run in full that plans of fewer steps are compared with. */
export interface PlanReference {
  /** Name of the sampler. */
  readonly sampler: string;
  /** Calls of the model. */
  readonly steps: number;
}

/** A sampler and the times at which it calls the model. */
export interface PlanSampler {
  /** `ddim`, `flow-euler`, … */
  readonly name: string;
  /**
   * Time given to the model at each step, noisiest first. In version 2 any real numbers, falling; of a flow the
   * sigmas before they are shifted.
   */
  readonly times: readonly number[];
  /** Of a flow, version 2: the factor s of the shift that it was made for, σ → sσ ÷ (1 + (s − 1)σ). */
  readonly shift?: number;
}

/** Circumstances of calibration that need not be met exactly. */
export interface PlanContext {
  /** Guidance scale. */
  readonly guidance?: number;
  /** Other scales that were measured, rising, each with the dB of PSNR that are lost there. */
  readonly guidanceLossDb?: readonly (readonly [scale: number, lossDb: number])[];
  /** Sizes of the token grid, outermost first: rows and columns for images. */
  readonly tokenGrid?: readonly number[];
  /** Number format of the trunk, for example `float32`. */
  readonly precision?: string;
}

/** A rule with its parameters. */
export interface PlanPolicy {
  /** For example `invardiff`, `uniform`, `hand` or `imported`. */
  readonly name: string;
  /** Parameters by name; names are sorted when written. */
  readonly parameters: Readonly<Record<string, number | string | boolean>>;
}

/** Provenance of the recorded numbers. */
export interface PlanCalibration {
  /** Mode of calibration: `reference`, `guided`, `search` or `fit`. */
  readonly mode: string;
  /** Labels or prompts that were recorded. */
  readonly conditions: readonly (number | string)[];
  /** Seeds of the noise. */
  readonly seeds: readonly number[];
  /** Resolved thresholds by name, for example `phase2.attn`. */
  readonly thresholds: Readonly<Record<string, number>>;
}

/** Measured expectations with what is needed to measure them again. */
export interface PlanMeasurement {
  /** The command that measured. */
  readonly command: string;
  /** Machine and versions, in words. */
  readonly machine: string;
  /** Numbers by name; the unit belongs into the name, for example `psnrDb`. */
  readonly values: Readonly<Record<string, number>>;
}
