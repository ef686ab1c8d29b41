/**
 * What a run made, with everything that made it.
 */

import type { ModelView } from "./contract.ts";
import { fileName, formatSeconds } from "./format.ts";
import type { RunRequest, RunResult } from "./run.ts";

/** A finished run, and its full counterpart where they were compared. */
export interface Outcome {
  readonly request: RunRequest;
  /** What comes after `#` in the address that draws it again, with it. */
  readonly link: string;
  /** Its class or its prompt. */
  readonly title: string;
  /** How it ended, in a sentence. */
  readonly words: string;
  readonly result: RunResult;
  /** The same in full. */
  readonly full?: RunResult | undefined;
  /** How many times faster than full: measured against it, else told by the run's own full steps. */
  readonly speedup?: number | undefined;
}

/** Letters of a prompt that go into a file's name. */
const FILE_LETTERS = 60;

/** What a picture shows, in a few words. */
export function titleOf(
  { model, prompt, label = 0 }: Pick<RunRequest, "model" | "prompt" | "label">,
  models: readonly Pick<ModelView, "id" | "classes">[],
): string {
  if (prompt !== undefined) return prompt.trim() || "Nothing said";
  const classes = models.find(({ id }) => id === model)?.classes;
  return classes?.[label]?.name ?? `${label}`;
}

/** Name of its file. */
export function outcomeFile(
  { title, request: { seed, plan } }: Pick<Outcome, "title" | "request">,
): string {
  return `${fileName([title.slice(0, FILE_LETTERS), seed, plan ?? "full"])}.png`;
}

/** A picture beside the same in full. */
export function compared(planned: Outcome, full: RunResult): Outcome {
  const [few, all] = [planned.result.seconds ?? 0, full.seconds ?? 0];
  const words = `Drawn in ${formatSeconds(few)} instead of ${formatSeconds(all)}.`;
  return { ...planned, words, full, speedup: all / few };
}
