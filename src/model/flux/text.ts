/**
 * How FLUX takes prompts.
 *
 * *Source:* diffusers `FluxPipeline.encode_prompt`.
 */

import type { TextRecipe } from "../text.ts";
import type { FluxConfig } from "./config.ts";

/** Tokens that T5 is given: of FLUX.1-dev, and of FLUX.1-schnell, which has no guidance embedding. */
const LENGTH = { dev: 512, schnell: 256 } as const;

/**
 * CLIP's pooled output goes where times do, T5's hidden states are the text. Nothing is hidden from T5: FLUX was trained
 * with its pads.
 */
export function fluxText({ jointDim, pooledDim, guidanceEmbeds }: FluxConfig): TextRecipe {
  return {
    parts: [
      {
        title: "CLIP",
        folder: "text_encoder",
        tokenizer: "tokenizer",
        reads: "prompt",
        outputs: ["pooled"],
        width: pooledDim,
        pads: "seen",
      },
      {
        title: "T5",
        folder: "text_encoder_2",
        tokenizer: "tokenizer_2",
        reads: "prompt2",
        outputs: ["last"],
        width: jointDim,
        length: guidanceEmbeds ? LENGTH.dev : LENGTH.schnell,
        pads: "seen",
      },
    ],
    conditions: ([clip, t5]) => ({ text: t5!.last!, pooled: clip!.pooled! }), // as asked for above
  };
}
