/**
 * Phrases in a prompt: found, added, exchanged and taken out again.
 */

/** Where a phrase stands in a prompt, in UTF-16 units. */
interface Place {
  readonly phrase: string;
  readonly start: number;
  readonly end: number;
}

/** What stands before a phrase that is added, by what the prompt ends with. */
const JOINS = /(?:,|\band|\bwith|\bin|\bwearing)\s*$/i;

/** The phrase of a group that a prompt has; `undefined` where it has none. */
export function phraseIn(prompt: string, group: readonly string[]): string | undefined {
  return placeIn(prompt, group)?.phrase;
}

/**
 * A prompt with another phrase of a group: added, instead of one that it has, or, where it has this very phrase,
 * without it.
 *
 * @param subject How a prompt begins that has nothing yet.
 */
export function togglePhrase(
  prompt: string,
  phrase: string,
  { group, subject }: { readonly group: readonly string[]; readonly subject: string },
): string {
  const place = placeIn(prompt, group);
  if (place === undefined) return added(prompt, phrase, subject);
  if (place.phrase === phrase) return without(prompt, place);
  return prompt.slice(0, place.start) + phrase + prompt.slice(place.end);
}

/** The longest phrase of a group that a prompt has, as whole words; of equal ones the first. */
function placeIn(prompt: string, group: readonly string[]): Place | undefined {
  const lower = prompt.toLowerCase();
  const found = group.flatMap((phrase) => {
    const start = wholeAt(lower, phrase.toLowerCase());
    return start < 0 ? [] : [{ phrase, start, end: start + phrase.length }];
  });
  return found.sort((a, b) => b.phrase.length - a.phrase.length || a.start - b.start)[0];
}

/** Where words stand, neither begun nor gone on with by a letter or a digit; -1 where they do not. */
function wholeAt(text: string, words: string): number {
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1)) {
    const around = [text[at - 1], text[at + words.length]];
    if (around.every((letter) => letter === undefined || !/[\p{L}\p{N}]/u.test(letter))) return at;
  }
  return -1;
}

function added(prompt: string, phrase: string, subject: string): string {
  const text = prompt.trimEnd();
  if (text === "") return `${subject} ${phrase}`;
  return `${text}${JOINS.test(text) ? " " : ", "}${phrase}`;
}

/** Without a phrase, and without what joined it to the others. */
function without(prompt: string, { start, end }: Place): string {
  const before = prompt.slice(0, start);
  const after = prompt.slice(end);
  const joined = before.replace(/(?:\s*,\s*|\s+and\s+)$/, "");
  if (joined !== before) return joined + after;
  return before + after.replace(/^(?:\s*,\s*|\s+and\s+)/, "");
}
