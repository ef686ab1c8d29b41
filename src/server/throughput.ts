/**
 * How fast this machine is, measured on the steps that it runs.
 */

/** A step's weight is halved after so many newer ones. */
const HALF_LIFE = 200;
const DECAY = 0.5 ** (1 / HALF_LIFE);
/** Multiply-accumulates a second of a small GPU: who comes back too early is only told again. */
export const FAST = 2e11;

/** Seconds per multiply-accumulate, recent steps counting most. */
export class Throughput {
  #seconds = 0;
  #macs = 0;

  add(seconds: number, macs: number): void {
    this.#seconds = this.#seconds * DECAY + seconds;
    this.#macs = this.#macs * DECAY + macs;
  }

  /** Seconds that so much arithmetic will take; `undefined` before anything was measured. */
  secondsOf(macs: number): number | undefined {
    return this.#macs === 0 ? undefined : macs * this.#seconds / this.#macs;
  }

  /** The same, with a guess on the fast side before anything was measured. */
  guess(macs: number): number {
    return this.secondsOf(macs) ?? macs / FAST;
  }
}
