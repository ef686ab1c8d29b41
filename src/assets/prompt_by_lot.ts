/**
 * A prompt of phrases that a model knows, by lot.
 */

import type { PromptExamples } from "./manifest.ts";

/**
 * A prompt by lot: some of the phrases that a model knows, or one of its examples where it names no phrases.
 *
 * @param random Numbers in [0, 1).
 */
export function promptByLot(
  { subject, examples, attributes }: PromptExamples,
  random: () => number,
): string {
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)]!; // none is empty
  const groups = Object.values(attributes);
  if (groups.length === 0) return pick(examples);
  const [first, ...others] = groups;
  const taken = [first!, ...others.filter(() => random() < SHARE)]; // there is one
  return `${subject} ${taken.map(pick).join(", ")}`;
}

/** How often a prompt by lot says something of what it need not say. */
const SHARE = 0.6;
