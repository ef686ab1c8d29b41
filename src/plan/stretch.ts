/**
 * Cuts the modules of a step into stretches that a backend executes in one call each.
 *
 * @module
 */
import type { ModuleAction } from "./compile.ts";

/** Neighbouring modules `from … to - 1` that go into one call. */
export interface Stretch {
  /** `run` or `reuse` when all its modules are alike, else `mixed`. */
  readonly kind: "run" | "reuse" | "mixed";
  /** First module. */
  readonly from: number;
  /** One past the last module. */
  readonly to: number;
}

/** How a backend wants its stretches. */
export interface StretchOptions {
  /** `apart`: run and reused modules never share a call; `together`: they may. */
  readonly reused: "apart" | "together";
  /** Most modules in one call; absent = no limit. */
  readonly longest?: number;
}

/**
 * Cuts the modules of one step into the fewest stretches that the options allow, in order.
 *
 * @throws {RangeError} When `longest` is not a positive integer.
 */
export function stretches(
  actions: readonly ModuleAction[],
  options: StretchOptions,
): readonly Stretch[] {
  const { reused, longest = actions.length || 1 } = options;
  if (!(Number.isInteger(longest) && longest > 0)) {
    throw new RangeError(
      `Cannot cut stretches: longest must be a positive integer: current value is ${longest}`,
    );
  }
  const cuts = [0];
  for (let m = 1; m < actions.length; m++) {
    const changes = reused === "apart" && actions[m]!.kind !== actions[m - 1]!.kind;
    if (changes || m - cuts.at(-1)! === longest) cuts.push(m);
  }
  return actions.length === 0 ? [] : cuts.map((from, i) => {
    const to = cuts[i + 1] ?? actions.length;
    return { kind: kindOf(actions.slice(from, to)), from, to };
  });
}

function kindOf(actions: readonly ModuleAction[]): Stretch["kind"] {
  const first = actions[0]!.kind;
  return actions.every(({ kind }) => kind === first) ? first : "mixed";
}
