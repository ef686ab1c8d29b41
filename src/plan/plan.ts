/**
 * A plan: which steps and modules of a diffusion transformer run, and which reuse what an earlier
 * step computed. Made once by calibration, kept as a small JSON file, read by every instance.
 *
 * @module
 */
import { PlanError } from "../errors.ts";
import { checkPlanFile, type PlanFile } from "./plan_schema.ts";
import { readRow } from "./row.ts";

/** A parsed plan, version 1. Steps are in inference order: 0 is the noisiest. */
export interface Plan {
  /** Version of the format. */
  readonly version: 1;
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
  /** `rows[step][slot]`: `=`, `+`, or one mark per module, `.` run or `r` reuse. */
  readonly rows: readonly (readonly string[])[];
  /** Circumstances that are recorded and give a notice when they differ. */
  readonly context: PlanContext;
  /** The rule that chose the rows. */
  readonly policy: PlanPolicy;
  /** Where the recorded numbers behind the rows come from. */
  readonly calibration?: PlanCalibration;
  /** What to expect from it, measured. */
  readonly measured?: PlanMeasurement;
}

/** A sampler and the times at which it calls the model. */
export interface PlanSampler {
  /** `ddim` or `flow-euler`. */
  readonly name: string;
  /** Time given to the model at each step, noisiest first; integers for DDIM. */
  readonly times: readonly number[];
}

/** Circumstances of calibration that need not be met exactly. */
export interface PlanContext {
  /** Guidance scale. */
  readonly guidance?: number;
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
  /** Mode of calibration: `reference`, `guided` or `search`. */
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

/** Longest plan text that is parsed, in UTF-16 code units. */
export const MAX_PLAN_LENGTH = 4_000_000;

/**
 * Reads a plan from JSON text.
 *
 * @throws {PlanError} When the text is longer than 4 MB, is not JSON, has
 * unknown keys or another version, or when a row does not fit the modules.
 */
export function parsePlan(text: string): Plan {
  if (text.length > MAX_PLAN_LENGTH) {
    throw new PlanError(
      `Cannot read plan: its text must be at most ${MAX_PLAN_LENGTH} characters: ` +
        `current value is ${text.length}`,
    );
  }
  return planFromJson(parseJson(text));
}

/**
 * Reads a plan from parsed JSON, for example a JSON module.
 *
 * @throws {PlanError} As {@linkcode parsePlan}.
 */
export function planFromJson(value: unknown): Plan {
  return planOf(checkPlanFile(value));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PlanError(
      `Cannot read plan: its text must be JSON: current value is ${start(text)}`,
      { cause },
    );
  }
}

/** Checks what spans several fields and fills in what the file may leave out. */
function planOf(file: PlanFile): Plan {
  const slots = file.slots ?? ["joint"];
  checkDistinct("modules", file.modules);
  checkDistinct("slots", slots);
  checkDistinct("fingerprints", file.fingerprints);
  if (file.rows.length !== file.sampler.times.length) {
    throw new PlanError(
      `Cannot read plan: rows must be ${file.sampler.times.length} (one per time of the ` +
        `sampler): current value is ${file.rows.length}`,
    );
  }
  const rows = file.rows.map((entry, step) => readEntry(entry, step, slots, file.modules));
  return { ...file, slots, rows, context: file.context ?? {} };
}

function readEntry(
  entry: string | readonly string[],
  step: number,
  slots: readonly string[],
  modules: readonly string[],
): readonly string[] {
  const rows = typeof entry === "string" ? slots.map(() => entry) : entry;
  if (rows.length !== slots.length) {
    throw new PlanError(
      `Cannot read plan: step ${step} must have ${slots.length} rows (one per slot): ` +
        `current value is ${rows.length}`,
    );
  }
  rows.forEach((row, s) => readRow(row, modules, `step ${step} (slot ${slots[s]})`));
  return rows;
}

function checkDistinct(what: string, names: readonly string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) {
      throw new PlanError(
        `Cannot read plan: ${what} must be distinct: current value is "${name}" twice`,
      );
    }
    seen.add(name);
  }
}

/** The start of a text, short enough for a message. */
function start(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
