/**
 * Finding a class among many by a few letters.
 */

import type { ClassView } from "./contract.ts";

/** Classes whose names contain the query's letters in order, best first: whole words, then beginnings, then gaps. */
export function searchClasses(classes: readonly ClassView[], query: string): ClassView[] {
  const wanted = query.trim().toLowerCase();
  if (wanted === "") return [...classes];
  return classes
    .map((each) => ({ each, rank: rankOf(`${each.name}`.toLowerCase(), wanted, each.label) }))
    .filter(({ rank }) => rank < Infinity)
    .sort((a, b) => a.rank - b.rank)
    .map(({ each }) => each);
}

/** 0 is best; Infinity does not match. */
function rankOf(name: string, wanted: string, label: number): number {
  if (name === wanted || `${label}` === wanted) return 0;
  const at = name.indexOf(wanted);
  if (at === 0) return 1;
  if (at > 0) return /[\s,/-]/.test(name[at - 1]!) ? 2 : 3;
  return containsInOrder(name, wanted) ? 4 : Infinity;
}

function containsInOrder(name: string, wanted: string): boolean {
  let at = -1;
  return [...wanted].every((letter) => (at = name.indexOf(letter, at + 1)) >= 0);
}
