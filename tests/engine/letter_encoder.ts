/** An encoder for the small FLUX model of the golden numbers, that knows letters only. */
import type { EncodedPrompts, PromptEncoder } from "../../src/engine/prompts.ts";
import type { PromptText } from "../../src/engine/prompt_texts.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { joinRows } from "../../src/tensor/rows.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";

/** Noise whose seed is the prompt's length, and a token for each letter; notes what it was asked for. */
export class LetterEncoder implements PromptEncoder {
  readonly asked: (readonly PromptText[])[] = [];

  encode(prompts: readonly PromptText[]): Promise<EncodedPrompts> {
    this.asked.push(prompts);
    const features = (length: number, dims: readonly number[]): Tensor =>
      normalNoise([1, ...dims], length);
    return Promise.resolve({
      conditions: {
        text: joinRows(
          prompts.map(({ prompt, prompt2 = prompt }) => features(prompt2.length, [2, 24])),
        ),
        pooled: joinRows(prompts.map(({ prompt }) => features(prompt.length, [20]))),
      },
      tokens: prompts.map(({ prompt }) => [{ encoder: "T5", tokens: prompt.length, limit: 9 }]),
    });
  }
}
