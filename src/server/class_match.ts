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
 * Finds the one class that a prompt names, among whatever other words; plural and a slip in five letters
 * are forgiven. A model without names takes an index in digits.
 */
export function matchClass(prompt: string, names: readonly string[], classes: number): ClassMatch {
  if (/^\s*\d+\s*$/.test(prompt) && Number(prompt) < classes) {
    return { kind: "class", label: Number(prompt) };
  }
  const words = wordsOf(prompt);
  const found = names.flatMap((name, label) =>
    aliasesOf(name).flatMap((alias) => placesOf(alias, words).map((at) => ({ label, at, alias })))
  );
  const outermost = found.filter((inner) => !found.some((outer) => isWithin(inner, outer)));
  const [label, ...others] = new Set(outermost.map(({ label }) => label));
  if (label !== undefined && others.length === 0) return { kind: "class", label };
  return { kind: "unknown", nearest: nearestNames(words.join(" "), names) };
}

/** Words of a prompt that are those of a name. */
interface Found {
  readonly at: number;
  readonly alias: readonly string[];
}

/** The `shirt` of a `t shirt` is no shirt. */
function isWithin(inner: Found, outer: Found): boolean {
  return outer.alias.length > inner.alias.length && outer.at <= inner.at &&
    inner.at + inner.alias.length <= outer.at + outer.alias.length;
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

function placesOf(alias: readonly string[], words: readonly string[]): number[] {
  return words.map((_, at) => at)
    .filter((at) => alias.every((wanted, i) => isAlike(words[at + i], wanted)));
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
