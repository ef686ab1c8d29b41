/**
 * What a method of the field is here: settings with the values that its authors publish, and how a plan comes of
 * runs that are recorded, of a file that its authors give, or of either.
 */

import type { StoredWeights } from "../../assets/weights.ts";
import type { HasSettings, Settings, SettingTable } from "../../engine/policies/settings.ts";
import type { OwnTimes } from "../../plan/fit.ts";
import type { Plan, PlanSampler } from "../../plan/plan.ts";
import type { Row } from "../../plan/row.ts";
import type { CalibrationTask } from "../task.ts";
import type { Schedule } from "./schedule.ts";

/** What is recorded, and in how many steps. */
export type PolicyTask = Omit<CalibrationTask, "levels" | "warmup" | "longest">;

/** What a policy chose. */
export interface PolicyChoice {
  /** One for each step. */
  readonly rows: readonly Row[];
  /** Times and numbers of its own. */
  readonly own?: OwnTimes;
  /** What it found in runs, by name; absent where it recorded none. */
  readonly recorded?: Readonly<Record<string, number>>;
}

/** A file that the authors of a method publish. */
export interface PolicyFile {
  /** Its text. */
  text(): Promise<string>;
  /** Its JSON, in which Python's NaN may stand. */
  json(): Promise<unknown>;
  /** The tensors of a PyTorch checkpoint, those that its dict has under this name. */
  checkpoint(part: string): Promise<StoredWeights>;
}

/** What such a file is read for. */
export interface ReadFor {
  readonly sampler: PlanSampler;
  /** The model, where one is given: most files do not say whose they are. */
  readonly model?: ReadForModel | undefined;
}

/** The model that a file is read for, and its times as a plan owns them. */
export interface ReadForModel extends Pick<Plan, "architecture" | "modules"> {
  readonly schedule: Schedule;
}

/** A plan's rows with the modules that they are of. */
export interface ReadChoice
  extends Pick<PolicyChoice, "rows" | "own">, Pick<Plan, "architecture" | "modules"> {}

/** A method of the field; it records, reads files, or both. */
export interface Policy<T extends SettingTable = SettingTable> extends HasSettings {
  readonly settings: T;
  /** Chooses for a model, from runs of it if it needs any. @throws {PlanError} When the model is not of a kind it knows. */
  record?(task: PolicyTask, settings: Settings<T>): Promise<PolicyChoice>;
  /** Reads a published file. @throws {PlanError} When it is none, or for another number of steps. */
  read?(file: PolicyFile, settings: Settings<T>, about: ReadFor): Promise<ReadChoice>;
}

/** The model that a file is read for. @throws {TypeError} When none is given. */
export function expectModel(model: ReadFor["model"], policy: string): ReadForModel {
  if (model !== undefined) return model;
  throw new TypeError(
    `Cannot import plan: a model must be given to policy ${policy}, whose files do not name modules: ` +
      "current value is none",
  );
}
