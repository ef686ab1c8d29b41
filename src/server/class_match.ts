/**
 * From a prompt to a class, for models that know classes and no words.
 */

import { distance } from "npm:fastest-levenshtein@1.0.16";
import { type Classes, exactName } from "../engine/class_names.ts";
import { aliasesOf, oneOf, wordsOf } from "../nearest_names.ts";

/** One slip in so many letters is forgiven. */
const LETTERS_PER_SLIP = 5;

/**
 * Finds the one class that a prompt names: the class whose whole name it is, else the one that is named among
 * whatever other words; plural and a slip in five letters are forgiven. A model without names takes an index
 * in digits. `undefined` when no class, or more than one, is named.
 */
export function matchClass(prompt: string, { classNames, classes }: Classes): number | undefined {
  const exact = exactName(prompt, classNames);
  if (exact !== undefined) return exact;
  if (/^\s*\d+\s*$/.test(prompt) && Number(prompt) < classes) return Number(prompt);
  const words = wordsOf(prompt);
  const found = classNames.flatMap((name, label) =>
    aliasesOf(name).flatMap((alias) => placesOf(alias, words).map((at) => ({ label, at, alias })))
  );
  const outermost = found.filter((inner) => !found.some((outer) => isWithin(inner, outer)));
  const [label, ...others] = new Set(outermost.map(({ label }) => label));
  return others.length === 0 ? label : undefined;
}

/** What a prompt must be, for the message about one that names no class or several. */
export function wantedPrompt(prompt: string, { classNames, classes }: Classes): string {
  if (classNames.length === 0) return `an index in 0 … ${classes - 1}`;
  return `the name of a class, ${oneOf(classNames, prompt)}`;
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
