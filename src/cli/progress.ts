/**
 * Progress of a sampling loop on a terminal: one redrawn line on a TTY, a few plain lines elsewhere.
 */

/** Where progress is written, and by which clock it counts. */
export interface ProgressOptions {
  /** Receives text as it is to appear; `process.stderr.write` or its like. */
  readonly write: (text: string) => void;
  /** Whether the receiver is a terminal that understands carriage return and `ESC [K`. */
  readonly isTty: boolean;
  /** A clock in milliseconds that never goes back; `performance.now` without it. */
  readonly now?: () => number;
}

/** Shows how far a loop is; ended once, by `finish` or `abort`, after which it is silent. */
export interface Progress {
  /** `done` steps, counted from 1, are behind us. */
  readonly step: (done: number) => void;
  /** The loop ran to its end: leaves the last line standing. */
  readonly finish: () => void;
  /** The loop was cut short: ends the line and says after which step. */
  readonly abort: () => void;
}

const BAR_WIDTH = 24; // with the numbers behind it a line stays below 80 columns
const PLAIN_LINES = 10; // a log file wants to be read

/**
 * Begins to show the progress of `total` steps; the clock starts now. Keeps no state outside of what it returns.
 *
 * @throws {RangeError} When `total` is not a whole number above 0.
 */
export function startProgress(total: number, options: ProgressOptions): Progress {
  if (!Number.isInteger(total) || total < 1) {
    throw new RangeError(
      `Cannot start progress: total must be a whole number >= 1: current value is ${total}`,
    );
  }
  const { write, isTty, now = () => performance.now() } = options;
  const start = now();
  const stride = Math.ceil(total / PLAIN_LINES);
  let done = 0;
  let ended = false;

  const show = (): void => {
    const numbers = formatNumbers(done, { total, seconds: (now() - start) / 1000 });
    if (isTty) write(`\r${formatBar(done / total)} ${numbers}\x1b[K`);
    else if (done % stride === 0 || done === total) write(`step ${numbers}\n`);
  };
  const end = (lastWords: string): void => {
    if (ended) return;
    ended = true;
    if (isTty) write("\n");
    if (lastWords !== "") write(lastWords);
  };

  if (isTty) show(); // the first step may be long: show at once that something goes on
  return {
    step(next: number): void {
      if (ended) return;
      done = next;
      show();
    },
    finish: () => end(""),
    abort: () => end(`stopped after step ${done}/${total}\n`),
  };
}

function formatBar(fraction: number): string {
  const filled = Math.round(fraction * BAR_WIDTH);
  return `[${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}]`;
}

/** `12/50  0.84 s/step  ETA 32 s`; behind the last step the time that all of them took. */
function formatNumbers(
  done: number,
  { total, seconds }: { readonly total: number; readonly seconds: number },
): string {
  if (done === 0) return `0/${total}`;
  const perStep = seconds / done;
  const rest = done < total
    ? `ETA ${formatDuration(perStep * (total - done))}`
    : `took ${formatDuration(seconds)}`;
  return `${done}/${total}  ${perStep.toFixed(perStep < 10 ? 3 : 1)} s/step  ${rest}`;
}

/** `1 h 23 min`, `4 min 5 s` or `6 s`; rounded up. */
export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return `${minutes} min ${whole % 60} s`;
}
