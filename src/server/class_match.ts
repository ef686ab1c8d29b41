/**
 * From a prompt to a class, for models that know classes and no words.
 *
 * @module
 */

import { distance } from "fastest-levenshtein";

/** What a prompt means: one class, or those that come nearest. */
export type ClassMatch =
  | { readonly kind: "class"; readonly label: number }
  | { readonly kind: "unknown"; readonly nearest: readonly string[] };

const NEAREST = 5;
/** One slip in so many letters is forgiven. */
const LETTERS_PER_SLIP = 5;

/**
 * Finds the class that a prompt names: the whole prompt first, then the longest name within it; plural and
 * a slip in five letters are forgiven. A model without names takes an index in digits.
 */
export function matchClass(prompt: string, names: readonly string[], classes: number): ClassMatch {
  if (/^\s*\d+\s*$/.test(prompt) && Number(prompt) < classes) {
    return { kind: "class", label: Number(prompt) };
  }
  const words = wordsOf(prompt);
  const aliases = names.flatMap((name, label) =>
    aliasesOf(name).map((alias) => ({ alias, label }))
  );
  const found = aliases.filter(({ alias }) => contains(words, alias));
  const longest = Math.max(...found.map(({ alias }) => alias.join("").length));
  const best = found.filter(({ alias }) => alias.join("").length === longest);
  const labels = new Set(best.map(({ label }) => label));
  if (labels.size === 1) return { kind: "class", label: best[0]!.label };
  return { kind: "unknown", nearest: nearestNames(words.join(" "), names) };
}

/** A name's own words, and those of each part: `T-shirt/top` is also `t shirt` and `top`. */
function aliasesOf(name: string): string[][] {
  const parts = [name, ...name.split(/[/,]/)].map(wordsOf).filter(({ length }) => length > 0);
  return [...new Map(parts.map((words) => [words.join(" "), words])).values()];
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().normalize("NFKC").split(/[^\p{L}\p{N}]+/u).filter((word) =>
    word !== ""
  );
}

function contains(words: readonly string[], alias: readonly string[]): boolean {
  return words.some((_, at) => alias.every((wanted, i) => isAlike(words[at + i], wanted)));
}

function isAlike(word: string | undefined, wanted: string): boolean {
  if (word === undefined) return false;
  return [word, word.replace(/s$/, ""), word.replace(/es$/, "")].some((form) =>
    distance(form, wanted) <= Math.floor(wanted.length / LETTERS_PER_SLIP)
  );
}

function nearestNames(prompt: string, names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, far: distance(prompt, wordsOf(name).join(" ")) }))
    .toSorted((a, b) => a.far - b.far)
    .slice(0, NEAREST)
    .map(({ name }) => name);
}
