/**
 * Progress of what comes before the first step, on a terminal: one redrawn line on a TTY, elsewhere a line now and
 * then where it takes long.
 */

import type { Preparing } from "../engine/preparing.ts";
import { type Output, progressOutput } from "./output.ts";
import type { ProgressOptions } from "./progress.ts";

/** Shows what is prepared; ended once. */
export interface PreparingProgress {
  /** Something was done. */
  readonly hear: (progress: Preparing) => void;
  /** Nothing more comes: clears a line that was begun. */
  readonly end: () => void;
}

/** Milliseconds between two lines: redrawn ones, and those of a log. */
const REDRAW_MS = 100;
const LINE_MS = 5000;

const WORDS: Readonly<Record<Preparing["what"], string>> = {
  prompts: "encoding prompts",
  graphs: "loading graphs",
};

/** Does work, and shows on stderr what it prepares. */
export async function withPreparing<T>(
  output: Pick<Output, "quiet">,
  work: (onPreparing: PreparingProgress["hear"]) => Promise<T>,
): Promise<T> {
  const preparing = startPreparing(progressOutput(output));
  try {
    return await work(preparing.hear);
  } finally {
    preparing.end();
  }
}

/** Begins to show what is prepared. */
export function startPreparing(
  { write, isTty, now = () => performance.now() }: ProgressOptions,
): PreparingProgress {
  let shown = isTty ? -Infinity : now(); // a log has a line only of what takes long
  let begun = false;
  return {
    hear: ({ what, done, total }) => {
      const isLast = isTty && done === total;
      if (!isLast && now() - shown < (isTty ? REDRAW_MS : LINE_MS)) return;
      const line = `${WORDS[what]} ${done}/${total}`;
      write(isTty ? `\r${line}\x1b[K` : `${line}\n`);
      begun = isTty;
      shown = now();
    },
    end: () => {
      if (begun) write("\r\x1b[K");
      begun = false;
    },
  };
}
