/**
 * Turns prompts into the tensors that a text-conditioned model takes, by an encoder that the caller provides.
 */

import type { Conditions } from "../model/scene.ts";
import type { GenerateOptions } from "./request.ts";

/** Encodes prompts for a model. The caller owns it. */
export interface PromptEncoder {
  /** Encodes each prompt, a row for each in the model's conditions, such as `text` and `pooled`. */
  encode(
    prompts: readonly string[],
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<Conditions>;
}

/**
 * Options whose prompts are replaced by their text features.
 *
 * @throws {TypeError} When there are prompts and no encoder, or prompts and text.
 */
export async function withEncodedPrompts(
  options: GenerateOptions,
  encoder: PromptEncoder | undefined,
): Promise<GenerateOptions> {
  const { prompts, signal, ...rest } = options;
  if (prompts === undefined) return options;
  if (encoder === undefined) {
    throw new TypeError("Cannot generate: prompts need a promptEncoder of the pipeline");
  }
  const encoded = await encoder.encode(prompts, { signal });
  const given = { text: options.text, pooled: options.pooled, ...options.conditions };
  if (Object.keys(encoded).some((name) => Reflect.get(given, name) !== undefined)) {
    const names = Object.keys(encoded).join(" or ");
    throw new TypeError(`Cannot generate: prompts must not be given together with ${names}`);
  }
  const conditions = { ...options.conditions, ...encoded };
  return { ...rest, ...(signal !== undefined && { signal }), conditions };
}
