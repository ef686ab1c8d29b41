/**
 * What the pictures of a request are of: any prompt, or a class that a prompt or a label names.
 */

import { findLabel, wantedLabel } from "../engine/class_names.ts";
import type { PicturePrompt } from "../engine/prompt_texts.ts";
import type { PictureRequest } from "../worker/renderer.ts";
import type { GenerationBody } from "./api.ts";
import type { ServedModel } from "./catalog.ts";
import { matchClass, wantedPrompt } from "./class_match.ts";
import { refuse } from "./request_error.ts";

/** The subject of a request's pictures, and what leads away from its negative prompt. */
export interface Subject extends Pick<PictureRequest, "label" | "prompt"> {
  /** As it was asked for: it has an effect above 1, with a negative prompt. */
  readonly trueGuidance?: number;
}

/** Fields for models that take prompts. */
const OF_PROMPTS = ["prompt_2", "negative_prompt", "true_guidance_scale"] as const;
/** Letters of a prompt that a message repeats. */
const SHOWN = 200;

/**
 * The subject of a request.
 *
 * @throws {RequestError} 400, naming the field at fault; a model of classes is answered with the nearest ones.
 */
export function subjectOf(body: GenerationBody, { facts }: ServedModel): Subject {
  return facts.takesPrompts ? promptOf(body, facts) : { label: labelOf(body, facts) };
}

/** Whether true guidance has an effect. */
export function isTrulyGuided(
  prompt: PicturePrompt | undefined,
  trueGuidance: number | undefined = 1,
): boolean {
  return prompt?.negativePrompt !== undefined && trueGuidance > 1;
}

type Facts = ServedModel["facts"];

function promptOf(body: GenerationBody, { id }: Facts): Subject {
  const { prompt, prompt_2: second, negative_prompt: negative, label } = body;
  if (label !== undefined) refuse("label", `left out, for ${id} takes prompts`, label);
  if (prompt === undefined) return refuse("prompt", "given", "nothing");
  const { true_guidance_scale: scale } = body;
  return {
    prompt: {
      prompt,
      ...(second !== undefined && { prompt2: second }),
      ...(negative !== undefined && { negativePrompt: negative }),
    },
    ...(scale !== undefined && { trueGuidance: scale }),
  };
}

function labelOf(body: GenerationBody, facts: Facts): number {
  const { prompt, label } = body;
  const idle = OF_PROMPTS.find((name) => body[name] !== undefined);
  if (idle !== undefined) refuse(idle, `left out, for ${facts.id} knows classes only`, body[idle]);
  if (label !== undefined) {
    return findLabel(label, facts) ?? refuse("label", wantedLabel(label, facts), label);
  }
  if (prompt === undefined) return refuse("prompt", "given", "nothing");
  return matchClass(prompt, facts) ??
    refuse("prompt", wantedPrompt(prompt, facts), prompt.slice(0, SHOWN));
}
