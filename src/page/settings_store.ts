/**
 * Texts that outlive a visit. A browser may refuse to keep any: then they end with it, in silence.
 */

/** A kept text; `undefined` where there is none. */
export function readText(item: string): string | undefined {
  try {
    return localStorage.getItem(item) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a text. */
export function writeText(item: string, text: string): void {
  try {
    localStorage.setItem(item, text);
  } catch {
    // refused or full: nothing of it is needed for a picture
  }
}
