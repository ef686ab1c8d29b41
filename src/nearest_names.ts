/**
 * What a misspelt name may have meant: said in the same words for classes, plans and models.
 */

import { distance } from "npm:fastest-levenshtein@1.0.16";

/** Most names that a message lists. */
const MOST = 5;
/** Letters of a name that are compared: a request may be thousands long. */
const COMPARED = 100;

/**
 * The names that come nearest to a word or a sentence, best first, at most five. A name may consist of
 * several with commas or slashes between them; each counts. Letter case does not.
 */
export function nearestNames(given: string, names: readonly string[]): readonly string[] {
  const words = wordsOf(given.slice(0, COMPARED));
  const forms = [words.join(" "), ...words];
  return names
    .map((name) => ({ name, far: farOf(name, forms) }))
    .toSorted((a, b) => a.far - b.far)
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** `one of a, b`; of more than five names their number and the nearest. The end of an error's "must be". */
export function oneOf(names: readonly string[], given: string): string {
  if (names.length <= MOST) return `one of ${names.join(", ") || "none"}`;
  return `one of ${names.length} names such as ${nearestNames(given, names).join(", ")}`;
}

/** Share of letters that differ, 0 … 1, of the alias and the form that come nearest. */
function farOf(name: string, forms: readonly string[]): number {
  const shares = aliasesOf(name.slice(0, COMPARED)).map((words) => words.join(" "))
    .flatMap((alias) =>
      forms.map((form) => distance(form, alias) / Math.max(form.length, alias.length))
    );
  return Math.min(1, ...shares);
}

/** A name's words, and those of each of its parts: `T-shirt/top` is also `t shirt` and `top`. */
export function aliasesOf(name: string): readonly (readonly string[])[] {
  const parts = [name, ...name.split(/[/,]/)].map(wordsOf).filter(({ length }) => length > 0);
  return [...new Map(parts.map((words) => [words.join(" "), words])).values()];
}

/** Words of a text, in small letters. */
export function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().normalize("NFKC").split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "");
}
