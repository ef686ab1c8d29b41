/**
 * Texts that outlive a page: until the next visit, or as long as the tab. A browser may refuse to keep any: then
 * they end with the page, in silence.
 */

/** How long a text is kept. */
type Keeping = "visits" | "tab";

const refused = new Map<string, string>();

/** A kept text; `undefined` where there is none. */
export function readText(item: string, keeping: Keeping = "visits"): string | undefined {
  try {
    return refused.get(item) ?? storageOf(keeping).getItem(item) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a text. */
export function writeText(item: string, text: string, keeping: Keeping = "visits"): void {
  try {
    storageOf(keeping).setItem(item, text);
    refused.delete(item);
  } catch {
    refused.set(item, text);
  }
}

function storageOf(keeping: Keeping): Storage {
  return keeping === "tab" ? sessionStorage : localStorage; // either may throw
}
