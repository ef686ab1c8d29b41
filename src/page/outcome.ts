/**
 * What a run made, with everything that made it.
 */

import { fileName } from "./format.ts";
import type { RunRequest, RunResult } from "./run.ts";

/** A finished run, and its full counterpart where they were compared. */
export interface Outcome {
  readonly request: RunRequest;
  /** Its class or its prompt. */
  readonly title: string;
  readonly result: RunResult;
  /** The same in full. */
  readonly full?: RunResult | undefined;
  /** How many times faster than full: measured against it, else told by the run's own full steps. */
  readonly speedup?: number | undefined;
}

/** Letters of a prompt that go into a file's name. */
const FILE_LETTERS = 60;

/** Name of its file. */
export function outcomeFile({ title, request: { seed, plan } }: Outcome): string {
  return `${fileName([title.slice(0, FILE_LETTERS), seed, plan ?? "full"])}.png`;
}
