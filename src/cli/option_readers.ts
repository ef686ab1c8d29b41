/**
 * The kinds of values that options have.
 */

import type { Reader } from "./options.ts";

/** Whole numbers of at least `least`, and at most `most` where it is given. */
export function whole(least: number = 0, most: number = Number.MAX_SAFE_INTEGER): Reader<number> {
  const bounded = most < Number.MAX_SAFE_INTEGER;
  return reader(
    `a whole number ${bounded ? `in ${least} … ${most}` : `of at least ${least}`}`,
    (word) => {
      const value = /^\d{1,16}$/.test(word) ? Number(word) : NaN;
      return value >= least && value <= most ? value : undefined;
    },
  );
}

/** Numbers of at least 0, or above what is given, such as `2`, `0.5`, `.5` or `1e-3`. */
export function decimal(above?: number): Reader<number> {
  return reader(
    above === undefined ? "a number of at least 0" : `a number above ${above}`,
    (word) => {
      const value = /^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(word) ? Number(word) : Infinity;
      return value < Infinity && value > (above ?? -1) ? value : undefined;
    },
  );
}

/** Texts that pass a test. */
export function text(wanted: string, test: (word: string) => boolean = () => true): Reader<string> {
  return reader(wanted, (word) => (word !== "" && test(word) ? word : undefined));
}

/** A file's name, which may have to end in something. */
export function file(ending: string = ""): Reader<string> {
  const wanted = ending === "" ? "a file name" : `a file name that ends in ${ending}`;
  return text(wanted, (word) => word.endsWith(ending));
}

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[]): Reader<T> {
  const wanted = words.join(", ").replace(/, ([^,]*)$/, " or $1");
  return reader(wanted, (word) => words.find((known) => known === word));
}

/** Values of one kind, with commas between. */
export function list<T>({ read }: Reader<T>, plural: string): Reader<readonly T[]> {
  return reader(`${plural}, with commas between`, (words) => {
    const values = words.split(",").map((word) => read(word.trim()));
    const known = values.filter((value) => value !== undefined);
    return known.length === values.length ? known : undefined;
  });
}

/** An `http:` or `https:` URL. */
export function webUrl(): Reader<string> {
  const isWeb = (word: string): boolean => /^https?:\/\//i.test(word) && URL.canParse(word);
  return text("an http or https URL", isWeb);
}

/** A reader of values that refuses by returning nothing. */
function reader<T>(wanted: string, read: (word: string) => T | undefined): Reader<T> {
  return { wanted, read };
}

/** The address of a queue that servers share. */
export function queueUrl(): Reader<string> {
  const isQueue = (word: string): boolean =>
    /^(?:rediss?|postgres|postgresql):\/\//.test(word) && URL.canParse(word);
  return text("a redis:// or postgres:// address", isQueue);
}
