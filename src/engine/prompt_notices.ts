/**
 * What is said of prompts that are not done as they ask: never silently.
 */

import { type PicturePrompt, type PromptTokens, quoted } from "./prompt_texts.ts";
import type { GenerateOptions } from "./request.ts";

/** Letters of a text that a notice repeats. */
const SHOWN = 40;

/** A sentence for each text of which an encoder reads only the beginning; `tokens` has its counts for each prompt. */
export function lengthNotices(
  prompts: readonly PicturePrompt[],
  tokens: readonly (readonly PromptTokens[])[] = [],
): readonly string[] {
  const all = prompts.flatMap(({ prompt, negativePrompt = "" }, i) =>
    (tokens[i] ?? []).filter(({ tokens, limit }) => tokens > limit).map((counted) => {
      const { encoder, tokens, limit, negative = false } = counted;
      const text = negative ? negativePrompt : prompt;
      const begin = quoted(text, SHOWN);
      return `${encoder} reads ${limit} of the ${tokens} tokens of ${begin}; the rest is left out.`;
    })
  );
  return [...new Set(all)]; // prompts may share a negative one
}

/**
 * Says where a negative prompt or true guidance has no effect, for each needs the other. Diffusers runs without
 * them, and so do we: guiding takes twice the time, and no scale of it suits every model.
 *
 * *Source:* diffusers `FluxPipeline`: "enabled when `true_cfg_scale` > 1 and `negative_prompt` is provided".
 */
export function idleNotices(
  { negativePrompt, negativeConditions, trueGuidance = 1 }: GenerateOptions,
): readonly string[] {
  const isNegative = negativePrompt !== undefined || negativeConditions !== undefined;
  if (isNegative === trueGuidance > 1) return [];
  return [
    isNegative
      ? "The negative prompt has no effect, for true guidance is not above 1 (2 to 4 is usual)."
      : "True guidance has no effect without a negative prompt, which may be empty.",
  ];
}
