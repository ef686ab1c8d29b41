/** The small DiT of the repository, for tests that are about a model and not about the package's default. */

import { FASHION_DIT } from "../scripts/fashion_dit.ts";

export { FASHION_DIT };

/** Words of a command on fashion-dit, unless they name a model. */
export function onFashionDit(words: readonly string[]): readonly string[] {
  return words.includes("--model") ? words : [...words, "--model", FASHION_DIT.pathname];
}
