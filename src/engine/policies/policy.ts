/**
 * Policies that decide while a picture is made: at each step, whether the rest of the model runs or what it added at
 * the last step that ran is added again.
 */

import type { HasSettings, Settings, SettingTable, Tables } from "./settings.ts";
import type { Signal } from "./signals.ts";

/** What a step does. */
export type Decision = "run" | "reuse";

/** Decides about the next step of one picture from the numbers that its policy looks at, of both guided halves. */
export type Decide = (step: number, numbers: Float32Array) => Decision;

/** A rule that is asked at every step. */
export interface RunTimePolicy<T extends SettingTable = SettingTable> extends HasSettings {
  readonly settings: T;
  /** What it looks at. */
  readonly signal: Signal;
  /** The rule for one picture, which remembers of its earlier steps what it needs. */
  begin(settings: Settings<T>, run: DecidedRun): Decide;
}

/** What is known of a run before its first step. */
export interface DecidedRun {
  /** Times at which the model is asked, noisiest first. */
  readonly times: readonly number[];
  /** What the policy was given by step. */
  readonly tables: Tables;
}
