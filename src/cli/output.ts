/**
 * What a command says: its result on stdout; on stderr how it gets there, and warnings.
 */

import process from "node:process";
import { flag, type OptionValues } from "./options.ts";
import { type Progress, type ProgressOptions, startProgress } from "./progress.ts";

/** How much a command says. */
export const OUTPUT_OPTIONS = {
  json: flag("the report as one JSON object on stdout"),
  quiet: flag("no progress and no report; errors and warnings only"),
};

/** How much was asked for. */
export type Output = OptionValues<typeof OUTPUT_OPTIONS>;

export interface WrittenFile {
  readonly path: string;
  /** What is in it, in a few words. */
  readonly what: string;
}

/** What a command has to say in the end. */
export interface Result {
  /** Facts, for `--json`. */
  readonly report: object;
  /** The same in words, whole lines. */
  readonly text: string;
  readonly files?: readonly WrittenFile[];
}

/** Says the result on stdout, and where files were written. */
export function tell({ report, text, files = [] }: Result, { json, quiet }: Output): void {
  const paths = files.length > 0 && { files: files.map(({ path }) => path) };
  const wrote = files.map(({ path, what }) => `wrote ${path} (${what})\n`);
  if (json) process.stdout.write(JSON.stringify({ ...report, ...paths }) + "\n");
  else if (!quiet) process.stdout.write(text + wrote.join(""));
}

/** Says on stderr what goes on; a report in JSON says it itself. */
export function announce(lines: readonly string[], { json, quiet }: Output): void {
  if (!json && !quiet) { for (const line of lines) process.stderr.write(`${line}\n`); }
}

/** Says on stderr what the user should know of a result, however quiet; JSON carries it. */
export function warn(notices: readonly string[], { json }: Output): void {
  if (!json) { for (const notice of notices) process.stderr.write(`note: ${notice}\n`); }
}

/** Where progress is shown: on stderr. */
export function progressOutput(
  { quiet }: Pick<Output, "quiet"> = { quiet: false },
): ProgressOptions {
  return {
    write: (text) => void (quiet || process.stderr.write(text)),
    isTty: process.stderr.isTTY === true,
  };
}

/** Does work under a progress bar, from the start if the total is known; the work tells how far it is. */
export async function withProgress<T>(
  { total, quiet }: { readonly total?: number } & Pick<Output, "quiet">,
  work: (onProgress: (done: number, total?: number) => void) => Promise<T>,
): Promise<T> {
  const start = (total: number): Progress => startProgress(total, progressOutput({ quiet }));
  let progress = total === undefined ? undefined : start(total);
  const onProgress = (done: number, all = total): void => {
    progress ??= start(all!); // said here where it was not known before
    progress.step(done);
    if (done === all) progress.finish();
  };
  try {
    const result = await work(onProgress);
    progress?.finish();
    return result;
  } catch (error) {
    progress?.abort();
    throw error;
  }
}

/** `1 picture`, `2 pictures`. */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
