/**
 * What a finished `generate()` gives: pictures that know how they were made, latents, and the plan.
 */

import { encodePng } from "../image/png.ts";
import { type Picture, toPictures } from "../image/picture.ts";
import type { NamedPlan } from "./bundled_plans.ts";
import type { StepKind } from "../plan/compile.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { PicturePrompt, PromptTokens } from "./prompt_texts.ts";
import type { Decided } from "./policies/gate.ts";
import type { EditRecord } from "./edit_facts.ts";
import { type RecordFacts, recordOf, recordText } from "./picture_record.ts";

/** A picture with what it was made of. */
export interface GeneratedPicture extends Picture {
  /** Class, or row of the conditions. */
  readonly label: number;
  /** What it shows, in words; absent where no prompt was given. */
  readonly prompt?: PicturePrompt;
  /** Seed of its noise; absent when noise was given. */
  readonly seed?: number;
  /** The file, lossless, with its record: `invardiff generate --from` makes the picture again. */
  png(): Promise<Uint8Array>;
}

/** The finished run. */
export interface Generated {
  /** One for each label; none where nothing turns the model's latents into pictures. */
  readonly pictures: readonly GeneratedPicture[];
  /** Final latents `(n, C, H, W)`, or packed `(n, T, C)`. */
  readonly latents: Tensor;
  /** The plan that was followed; absent when every step was computed in full. */
  readonly plan?: NamedPlan;
  /** Why this plan, or none: half a sentence. */
  readonly planReason: string;
  /** Circumstances that differ from the plan's calibration, and why there are no pictures, in sentences. */
  readonly notices: readonly string[];
  /** Seconds from request to pictures. */
  readonly seconds: number;
  /** Label of each picture. */
  readonly labels: readonly number[];
  /** What labels choose from, in words; empty where no prompt was given. */
  readonly prompts: readonly PicturePrompt[];
  /** How long each of them is to each text encoder; absent where nothing counts. */
  readonly tokens?: readonly (readonly PromptTokens[])[] | undefined;
  /** Seed of each picture; empty when noise was given. */
  readonly seeds: readonly number[];
  /** Size of a picture in tokens, where it was given and is not the model's own. */
  readonly grid?: readonly number[];
  /** The solver that was asked for; absent where it is the opened model's. */
  readonly sampler?: string;
  /** Sampling steps. */
  readonly steps: number;
  /** Guidance scale; of the first picture where each has its own. */
  readonly guidance: number;
  /** Scale of true guidance; absent without it. */
  readonly trueGuidance?: number;
  /** The picture that the run began from; absent where it was noise alone. */
  readonly edit?: EditRecord;
  /** The policy that decided at run time, and what it decided; absent without one. */
  readonly policy?: Decided;
  /** How steps were computed beside each other, and what each picture took; absent where they were not. */
  readonly parallel?: ParallelRecord;
  /** What the plan let each step do; with a policy, what the steps of the first picture did. */
  readonly kinds: readonly StepKind[];
  /** Seconds of the sampling loops. */
  readonly loopSeconds: number;
  /** Seconds of conditioning, ahead of the loops. */
  readonly conditioningSeconds: number;
  /** Seconds in which sessions were made for kinds of steps that no run before had; 0 but on a GPU. */
  readonly preparationSeconds: number;
  /**
   * The most bytes of features and states kept at any moment; on a GPU of all that is kept at all, for each has a place
   * of its own for the whole run.
   */
  readonly peakFeatureBytes: number;
}

/** What pictures took whose steps were computed beside each other. */
export interface ParallelRecord {
  /** As it was asked for. */
  readonly word: string;
  /** By picture: rounds of steps, calls of the model one after another, and latents that it was called with. */
  readonly pictures: readonly {
    readonly rounds: number;
    readonly calls: number;
    readonly evaluations: number;
  }[];
}

/** Pictures of decoded latents `(n, 1 or 3, H, W)`, each with its record. */
export function generatedPictures(
  decoded: Tensor,
  run: Omit<Generated, "pictures">,
  { facts, scales }: {
    readonly facts: RecordFacts;
    readonly scales?: readonly number[] | undefined;
  },
): GeneratedPicture[] {
  return toPictures(decoded).map((picture, i) => {
    const [label, seed] = [run.labels[i]!, run.seeds[i]]; // as many labels as pictures
    const guidance = scales?.[i] ?? run.guidance;
    const prompt = run.prompts[label];
    const record = recordOf({ ...run, guidance }, { labels: [label], seed }, facts);
    return {
      ...picture,
      label,
      ...(prompt !== undefined && { prompt }),
      ...(seed !== undefined && { seed }),
      png: () => encodePng(picture, recordText(record)),
    };
  });
}
