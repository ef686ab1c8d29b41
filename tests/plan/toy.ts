/**
 * Two interpreters over a toy model whose values are 32-bit hashes: the one follows a compiled plan
 * and keeps only what it is told to keep; the other follows the rows and keeps everything.
 */
import { assert } from "@std/assert";
import { loadsOf, makes, STATES } from "../../src/plan/cells.ts";
import {
  type CompiledPlan,
  type ModuleAction,
  type Step,
  stores,
  type TrunkStep,
} from "../../src/plan/compile.ts";
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

/** Kept values by slot and name, the latest first; fails on a load or a drop of what is not kept. */
class StrictCache {
  readonly #kept = new Map<string, readonly Tagged[]>();
  readonly #bytes: (name: string) => number;
  peakBytes = 0;
  oldest = 0;

  constructor(bytes: (name: string) => number) {
    this.#bytes = bytes;
  }

  get left(): readonly string[] {
    return [...this.#kept].flatMap(([name, values]) => values.map(() => name));
  }

  store(slot: string, name: string, value: Tagged, keep = 1): void {
    const before = this.#kept.get(`${slot} ${name}`) ?? [];
    assert(before.length === keep - 1, `${slot} ${name} is kept for nothing, or dropped too early`);
    this.#kept.set(`${slot} ${name}`, [value, ...before]);
    const bytes = this.left.reduce((sum, key) => sum + this.#bytes(key.split(" ")[1]!), 0);
    this.peakBytes = Math.max(this.peakBytes, bytes);
  }

  load(slot: string, name: string, step: number, age = 0): Tagged {
    const kept = this.#kept.get(`${slot} ${name}`)?.[age];
    assert(kept !== undefined, `${slot} ${name} is loaded but not kept`);
    this.oldest = Math.max(this.oldest, step - kept.madeAt);
    return kept;
  }

  trim(slot: string, name: string, keep: number): void {
    const kept = this.#kept.get(`${slot} ${name}`) ?? [];
    assert(kept.length >= keep, `${slot} ${name} is kept on but was dropped`);
    this.#kept.set(`${slot} ${name}`, kept.slice(0, keep));
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
    const hidden = step.kind === "forecast"
      ? latent
      : step.kind === "reuse"
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
  const name = STATES[step.load].mark;
  const kept = cache.load(step.slot, name, step.index).value;
  if (step.drop) cache.trim(step.slot, name, 0);
  return step.load === "hidden" ? kept : (mix(latent, step.index) + kept) >>> 0;
}

function runTrunk(
  step: TrunkStep,
  latent: number,
  cache: StrictCache,
  count: number,
): number {
  const { slot, index } = step;
  assert(step.actions.length === count);
  const embedded = mix(latent, index);
  let hidden = embedded;
  for (const [m, action] of step.actions.entries()) {
    if (action.kind === "skip") continue;
    const load = (age: number): Tagged => cache.load(slot, `${m}`, index, age);
    const read = loaded(action, (age) => load(age).value);
    const feature = makes(action.kind) ? mix(hidden, m, index, ...read) : mix(...read);
    if (stores(action)) {
      // What is computed for some tokens is as old as what it has for the others, which is there until the step ends.
      const { madeAt, before } = action.kind === "partial"
        ? { madeAt: load(0).madeAt, before: Math.max(1, action.keep - 1) }
        : { madeAt: index, before: action.keep - 1 };
      cache.store(slot, `${m}`, { value: feature, madeAt }, before + 1);
    }
    hidden = mix(hidden, feature, index);
  }
  const residual = (hidden - embedded) >>> 0;
  if (step.storeHidden) cache.store(slot, "=", { value: hidden, madeAt: index });
  if (step.storeResidual) cache.store(slot, "+", { value: residual, madeAt: index });
  for (const [m, action] of step.actions.entries()) {
    if (loadsOf(action.kind, action.weights) > 0) cache.trim(slot, `${m}`, action.keep);
  }
  return hidden;
}

/** What a cell loads, the latest first, and its numbers. */
function loaded(
  { kind, weights = [], share = 0 }: Pick<ModuleAction, "kind" | "weights" | "share">,
  load: (age: number) => number,
): readonly number[] {
  if (kind === "run") return [];
  const features = Array.from({ length: loadsOf(kind, weights) }, (_, age) => load(age));
  return [...features, ...weights.map((weight) => 8 * weight), 8 * share];
}

/** Follows the rows of a plan, keeps the latest of everything for ever. */
export function runNaive(plan: Plan): readonly number[] {
  const kept = new Map<string, number>();
  const made = new Map<string, readonly number[]>();
  let latent = 1;
  return plan.rows.flatMap((rows, index) =>
    rows.map((row, s) => {
      const embedded = mix(latent, index);
      let hidden = embedded;
      if (row.text === "~") hidden = latent;
      else if (row.text === "=") hidden = kept.get(`${s} =`)!;
      else if (row.text === "+") hidden = (embedded + kept.get(`${s} +`)!) >>> 0;
      else if (row.kind === "modules") {
        const lists = plan.columns?.features?.[index] ?? [];
        for (const [m, kind] of row.cells.entries()) {
          if (kind === "skip") continue;
          const all = made.get(`${s} ${m}`) ?? [];
          const before = row.cells.slice(0, m).filter((cell) => cell === "extrapolate").length;
          const weights = lists[lists.length === 1 ? 0 : before] ?? [];
          const shares = plan.columns?.shares?.[index] ?? [];
          const earlier = row.cells.slice(0, m).filter((cell) => cell === "partial").length;
          const numbers = {
            ...(kind === "extrapolate" && { weights }),
            ...(kind === "partial" && { share: shares[shares.length === 1 ? 0 : earlier]! }),
          };
          const read = loaded({ kind, ...numbers }, (age) => all[age]!);
          const feature = makes(kind) ? mix(hidden, m, index, ...read) : mix(...read);
          if (makes(kind)) made.set(`${s} ${m}`, [feature, ...all]);
          hidden = mix(hidden, feature, index);
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
