/**
 * Another solver for a model than its own, in one word: `unipc`, or `dpmpp-3m:log-snr` with a spacing of times.
 */

import { oneOf } from "../nearest_names.ts";
import {
  FLOW_SAMPLERS,
  NOISE_SAMPLERS,
  type NoiseSampler,
  type NoiseSpacing,
  type SamplerDefaults,
  SPACINGS,
} from "./config.ts";
import { hasFixedTimes, ORIGINAL_SPACING } from "./solvers.ts";

/**
 * How a model is sampled by another solver: over the same noise or sigmas, as it is guided now.
 *
 * Times are spread as the model's own are, else as diffusers does it (`linspace`), unless the word says how.
 *
 * @param own How the model is sampled otherwise.
 * @param word `NAME` or `NAME:SPACING`; of a flow's solvers the `flow-` may be left out.
 * @throws {RangeError} When there is no such solver for the model, or none with such a spacing.
 */
export function chooseSampler(own: SamplerDefaults, word: string): SamplerDefaults {
  const [given = "", ...rest] = word.split(":");
  const spacing = rest.length === 0 ? undefined : rest.join(":");
  return hasFixedTimes(own.name)
    ? noiseSampler(own, { given, spacing })
    : flowSampler(own, { given, spacing });
}

interface Words {
  readonly given: string;
  readonly spacing: string | undefined;
}

function noiseSampler(own: SamplerDefaults, { given, spacing }: Words): SamplerDefaults {
  const name = NOISE_SAMPLERS.find((known) => known === given) ?? refuse(NOISE_SAMPLERS, given);
  if (spacing === undefined && name === own.name) return own;
  const allowed = name === "ddim" ? SPACINGS.slice(0, 3) : SPACINGS; // the others are no times of training
  const kind = spacing ?? own.spacing?.kind ?? ORIGINAL_SPACING.kind;
  const found = allowed.find((known) => known === kind);
  if (found === undefined) {
    throw new RangeError(
      `Cannot sample: spacing of ${name} must be ${oneOf(allowed, kind)}: current value is ${kind}`,
    );
  }
  return { ...own, name, steps: stepsFor(name, own.steps), spacing: spacingOf(own, name, found) };
}

/** The betas are the model's; whether noise is left at the end is the solver's, as in diffusers. */
function spacingOf(
  { spacing: own = ORIGINAL_SPACING }: SamplerDefaults,
  name: NoiseSampler,
  kind: NoiseSpacing["kind"],
): NoiseSpacing {
  const endsAtOne = name === "ddim" ? own.endsAtOne : !name.startsWith("deis");
  return { ...own, kind, endsAtOne };
}

function flowSampler(own: SamplerDefaults, { given, spacing }: Words): SamplerDefaults {
  const name = FLOW_SAMPLERS.find((known) => known === given || known === `flow-${given}`) ??
    refuse(FLOW_SAMPLERS, given);
  if (spacing !== undefined) {
    throw new RangeError(
      `Cannot sample: spacing must not be given to ${name}: current value is ${spacing}`,
    );
  }
  return { ...own, name, steps: stepsFor(name, own.steps) };
}

/** As many steps as are wanted, or one less: Heun's method takes an odd number of calls. */
export function stepsFor(name: string, steps: number): number {
  return name.endsWith("heun") && steps % 2 === 0 ? steps - 1 : steps;
}

function refuse(known: readonly string[], given: string): never {
  throw new RangeError(
    `Cannot sample: sampler must be ${oneOf(known, given)}: current value is ${given}`,
  );
}
