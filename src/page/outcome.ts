/**
 * What a run made, with everything that made it.
 */

import { fileName } from "./format.ts";
import type { RunRequest, RunResult } from "./run.ts";

/** A finished run, and its full counterpart where they were compared. */
export interface Outcome {
  readonly request: RunRequest;
  readonly className: string;
  readonly result: RunResult;
  /** The same in full. */
  readonly full?: RunResult | undefined;
  /** How many times faster than full: measured against it, else told by the run's own full steps. */
  readonly speedup?: number | undefined;
}

/** Name of its file. */
export function outcomeFile({ className, request: { seed, plan } }: Outcome): string {
  return `${fileName([className, seed, plan ?? "full"])}.png`;
}
