/**
 * Two interpreters over a toy model whose values are 32-bit hashes: the one follows a compiled plan
 * and keeps only what it is told to keep; the other follows the rows and keeps everything.
 */
import { assert } from "@std/assert";
import type { CompiledPlan, Step } from "../../src/plan/compile.ts";
import type { FeatureSizes } from "../../src/plan/cost.ts";
import type { Plan } from "../../src/plan/plan.ts";

/** What a run over the toy model saw. */
export interface ToyRun {
  /** Output of each model call, in call order. */
  readonly outputs: readonly number[];
  /** Largest sum of kept bytes. */
  readonly peakBytes: number;
  /** Largest age, in steps, of a loaded value. */
  readonly oldest: number;
  /** Names of what is still kept at the end. */
  readonly left: readonly string[];
}

/** A value that remembers the step that made it. */
interface Tagged {
  readonly value: number;
  readonly madeAt: number;
}

/** Kept values by slot and name; fails on a load without a store and on a store over a store. */
class StrictCache {
  readonly #kept = new Map<string, Tagged>();
  readonly #bytes: (name: string) => number;
  peakBytes = 0;
  oldest = 0;

  constructor(bytes: (name: string) => number) {
    this.#bytes = bytes;
  }

  get left(): readonly string[] {
    return [...this.#kept.keys()];
  }

  store(slot: string, name: string, value: Tagged): void {
    assert(!this.#kept.has(`${slot} ${name}`), `${slot} ${name} is stored twice`);
    this.#kept.set(`${slot} ${name}`, value);
    const bytes = this.left.reduce((sum, key) => sum + this.#bytes(key.split(" ")[1]!), 0);
    this.peakBytes = Math.max(this.peakBytes, bytes);
  }

  load(slot: string, name: string, step: number): number {
    const kept = this.#kept.get(`${slot} ${name}`);
    assert(kept !== undefined, `${slot} ${name} is loaded but not kept`);
    this.oldest = Math.max(this.oldest, step - kept.madeAt);
    return kept.value;
  }

  drop(slot: string, name: string): void {
    assert(this.#kept.delete(`${slot} ${name}`), `${slot} ${name} is dropped but not kept`);
  }
}

/** Follows a compiled plan as an executor must. */
export function runCompiled(compiled: CompiledPlan, sizes: FeatureSizes): ToyRun {
  const { modules } = compiled.plan;
  const cache = new StrictCache((name) =>
    name === "=" ? sizes.hidden : name === "+" ? sizes.residual : sizes.modules[Number(name)]!
  );
  let latent = 1;
  const outputs = compiled.steps.map((step) => {
    const hidden = step.kind === "reuse"
      ? reuseState(step, latent, cache)
      : runTrunk(step, latent, cache, modules.length);
    const output = mix(hidden, step.index, 99);
    latent = mix(latent, output);
    return output;
  });
  return { outputs, peakBytes: cache.peakBytes, oldest: cache.oldest, left: cache.left };
}

function reuseState(
  step: Extract<Step, { kind: "reuse" }>,
  latent: number,
  cache: StrictCache,
): number {
  const name = step.load === "hidden" ? "=" : "+";
  const kept = cache.load(step.slot, name, step.index);
  if (step.drop) cache.drop(step.slot, name);
  return step.load === "hidden" ? kept : (mix(latent, step.index) + kept) >>> 0;
}

function runTrunk(
  step: Exclude<Step, { kind: "reuse" }>,
  latent: number,
  cache: StrictCache,
  count: number,
): number {
  const { slot, index } = step;
  assert(step.actions.length === count);
  const embedded = mix(latent, index);
  let hidden = embedded;
  for (const [m, action] of step.actions.entries()) {
    const feature = action.kind === "reuse"
      ? cache.load(slot, `${m}`, index)
      : mix(hidden, m, index);
    if (action.kind === "run" && action.store) {
      cache.store(slot, `${m}`, { value: feature, madeAt: index });
    }
    hidden = mix(hidden, feature, index);
  }
  const residual = (hidden - embedded) >>> 0;
  if (step.storeHidden) cache.store(slot, "=", { value: hidden, madeAt: index });
  if (step.storeResidual) cache.store(slot, "+", { value: residual, madeAt: index });
  for (const [m, action] of step.actions.entries()) {
    if (action.kind === "reuse" && action.drop) cache.drop(slot, `${m}`);
  }
  return hidden;
}

/** Follows the rows of a plan, keeps the latest of everything for ever. */
export function runNaive(plan: Plan): readonly number[] {
  const kept = new Map<string, number>();
  let latent = 1;
  return plan.rows.flatMap((rows, index) =>
    rows.map((row, s) => {
      const embedded = mix(latent, index);
      let hidden = embedded;
      if (row === "=") hidden = kept.get(`${s} =`)!;
      else if (row === "+") hidden = (embedded + kept.get(`${s} +`)!) >>> 0;
      else {
        for (let m = 0; m < row.length; m++) {
          if (row[m] === ".") kept.set(`${s} ${m}`, mix(hidden, m, index));
          hidden = mix(hidden, kept.get(`${s} ${m}`)!, index);
        }
        kept.set(`${s} =`, hidden).set(`${s} +`, (hidden - embedded) >>> 0);
      }
      const output = mix(hidden, index, 99);
      latent = mix(latent, output);
      return output;
    })
  );
}

/** FNV-1a over 32-bit words: any difference in any input gives another value. */
function mix(...words: readonly number[]): number {
  return words.reduce((hash, word) => Math.imul(hash ^ word, 16777619) >>> 0, 2166136261);
}
