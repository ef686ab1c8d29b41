/**
 * What steps do, as people are told: one rule for the library, the command line, the server and the page.
 */

import { branchShare } from "./cells.ts";
import type { Step, StepKind } from "./compile.ts";

/** How many steps of each kind there are. */
export type StepCounts = Readonly<Record<StepKind, number>>;

/**
 * What a step does. A step of the trunk that runs no module is `reuse`: it merges what is kept, and a person
 * sees nothing computed.
 */
export function kindOf(step: Step): StepKind {
  if (step.kind !== "mixed") return step.kind;
  const runs = step.actions.some(({ kind, share }) => branchShare(kind, share) > 0);
  return runs ? "mixed" : "reuse";
}

/** What a step does whose pictures each do something: the same, or else some of its modules run. At least one. */
export function commonKind(kinds: readonly StepKind[]): StepKind {
  return new Set(kinds).size === 1 ? kinds[0]! : "mixed";
}

/** Counts steps by what they do. */
export function countKinds(kinds: readonly StepKind[]): StepCounts {
  const counts = { full: 0, mixed: 0, reuse: 0, forecast: 0 };
  for (const kind of kinds) counts[kind]++;
  return counts;
}

/** Counts in words: `2 full, 4 mixed, 44 reused`, then those that are forecast, where there are any. */
export function countWords({ full, mixed, reuse, forecast }: StepCounts): string {
  const skipped = forecast === 0 ? "" : `, ${forecast} forecast`;
  return `${full} full, ${mixed} mixed, ${reuse} reused${skipped}`;
}
