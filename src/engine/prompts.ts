/**
 * From prompts to the tensors that a model of text takes, by an encoder that the caller brings.
 *
 * @module
 */

import type { Tensor } from "../tensor/tensor.ts";
import type { GenerateOptions } from "./request.ts";

/** What prompts become: a row for each. */
export interface EncodedPrompts {
  /** Text features `(n, M, W)`. */
  readonly text: Tensor;
  /** Pooled text features `(n, P)`. */
  readonly pooled: Tensor;
}

/** Encodes prompts for a model. It belongs to whoever made it. */
export interface PromptEncoder {
  /** Encodes each prompt; all with as many tokens. */
  encode(
    prompts: readonly string[],
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<EncodedPrompts>;
}

/**
 * Options with text in the place of prompts.
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
  if (options.text !== undefined || options.pooled !== undefined) {
    throw new TypeError("Cannot generate: prompts must not be given together with text or pooled");
  }
  const { text, pooled } = await encoder.encode(prompts, { signal });
  return { ...rest, ...(signal !== undefined && { signal }), text, pooled };
}
