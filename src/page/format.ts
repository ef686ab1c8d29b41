/**
 * Numbers in words.
 */

/** Seconds: `0.42 s`, `12.3 s`, `2 min 5 s`, `6 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = `${Math.floor(whole / 60)} min`;
  return whole % 60 === 0 ? minutes : `${minutes} ${whole % 60} s`;
}

/** A factor: `2.9×`. */
export function formatFactor(factor: number): string {
  return `${factor.toFixed(factor < 10 ? 1 : 0)}×`;
}

/** Decibels: `38.8 dB`, `identical`. */
export function formatDecibels(decibels: number): string {
  return Number.isFinite(decibels) ? `${decibels.toFixed(1)} dB` : "identical";
}

/** Progress in bytes: `3.1 of 30.2 MB`. */
export function formatByteProgress(done: number, total: number): string {
  return `${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
}

/** A count with its noun: `1 step`, `50 steps`. */
export function formatCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A file's name from words: letters, digits and dashes. */
export function fileName(words: readonly (string | number)[]): string {
  return words.join("-").toLowerCase().replace(/[^a-z0-9.]+/g, "-").replace(/^-|-$/g, "");
}
