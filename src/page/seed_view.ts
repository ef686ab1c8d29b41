/**
 * The seed: another one for each picture, unless a person keeps it.
 */

import { byId } from "./dom.ts";

/** Seeds that are rolled have at most six digits: they are read aloud and typed. */
const ROLLED = 1_000_000;

/** The field, its dice and its lock. */
export class SeedView {
  readonly #seed = byId("seed", HTMLInputElement);
  readonly #lock = byId("lock", HTMLButtonElement);
  /** What the last picture was drawn from. */
  #spent: number | undefined;

  /** Rolls one; `onChange` is called when a button changes it. Who types a seed wants to keep it. */
  constructor(readonly onChange: () => void) {
    this.#seed.addEventListener("input", () => {
      this.locked = true;
      this.#spent = undefined;
    });
    byId("dice", HTMLButtonElement).addEventListener("click", () => {
      this.locked = false;
      this.#roll();
      onChange();
    });
    this.#lock.addEventListener("click", () => {
      this.locked = !this.locked;
      onChange();
    });
    this.#roll();
  }

  /** The seed, as far as the field holds one. */
  get value(): number {
    const seed = this.#seed.valueAsNumber;
    return Number.isSafeInteger(seed) && seed >= 0 ? seed : 0;
  }

  /** A seed that the next picture is drawn from. */
  set value(seed: number) {
    this.#seed.value = `${seed}`;
    this.#spent = undefined;
  }

  /** Whether all pictures are drawn from it. */
  get locked(): boolean {
    return this.#lock.getAttribute("aria-pressed") === "true";
  }

  set locked(locked: boolean) {
    this.#lock.setAttribute("aria-pressed", `${locked}`);
  }

  /** The seed to draw from now: another where this one is spent and not kept. */
  take(): number {
    if (!this.locked && this.#spent === this.value) this.#roll();
    this.spend();
    return this.value;
  }

  /** Says that there is a picture of this seed. */
  spend(): void {
    this.#spent = this.value;
  }

  #roll(): void {
    const before = this.value;
    do {
      this.value = crypto.getRandomValues(new Uint32Array(1))[0]! % ROLLED; // one was asked for
    } while (this.value === before);
  }
}
