/**
 * A run that a policy decides: what it asks at each step, and what it said. All of it belongs to the run of one
 * picture and goes with it.
 */

import type { Backend } from "../../backend/backend.ts";
import { BackendError } from "../../errors.ts";
import { kindOf } from "../../plan/step_counts.ts";
import type { StepKind } from "../../plan/compile.ts";
import type { Executor } from "../executor.ts";
import type { StepInputs } from "../step_inputs.ts";
import type { PreparedRun } from "../prepare.ts";
import type { GenerateOptions } from "../request.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Decide } from "./policy.ts";
import { frontOf, type GraphSignal, readSignal } from "./signals.ts";

/** Decides the steps of one picture. */
export interface Gate {
  /** What a step asks while it runs; absent where nothing does. */
  ask?(index: number, inputs: StepInputs): StepInputs["ask"];
  /** What a step predicts, where that is decided by its latent before anything runs; `run` runs all of it. */
  predict?(index: number, latent: Tensor, run: () => Promise<Tensor>): Promise<Tensor>;
  /** What a step did, once it was asked. */
  kindOf(index: number): StepKind | undefined;
}

/** Refuses a policy where its numbers would have to be read back from a GPU at every step. */
export function expectGate(
  { policy }: Pick<GenerateOptions, "policy">,
  { gpu, name }: Backend,
): void {
  if (policy === undefined || gpu === undefined) return;
  throw new BackendError(
    `Cannot generate: policy must be none on ${name}, where steps do not wait for the host: ` +
      `current value is ${policy}`,
  );
}

/** What policies decided, picture by picture. */
export interface Decided {
  /** The policy as it was asked for. */
  readonly word: string;
  /** By picture: how many of its steps reused what an earlier one added. */
  readonly reused: readonly number[];
}

/** What each step did: of pictures that are decided one by one, those of the first. */
export function decided(
  gates: readonly Gate[],
  { steps, policy }: Pick<PreparedRun, "steps" | "policy">,
): { readonly kinds: readonly StepKind[]; readonly policy?: Decided } {
  const kinds = steps.map((step, index) => gates[0]?.kindOf(index) ?? kindOf(step));
  if (policy === undefined) return { kinds };
  const reused = gates.map((gate) => steps.filter((_, i) => gate.kindOf(i) !== "full").length);
  return { kinds, policy: { word: policy.word, reused } };
}

/** Opens the gate of the run of one picture, where a policy was asked for. */
export function openGate(
  { policy: chosen, request: { sampler: { times } } }: Pick<PreparedRun, "policy" | "request">,
  executor: Executor,
): Gate | undefined {
  if (chosen === undefined) return undefined;
  const { policy: { begin, signal }, settings, tables } = chosen;
  const decide = begin(settings, { times, tables });
  return signal === "latent" ? latentGate(decide) : graphGate(decide, { signal, executor });
}

/** Asks before a step runs; what stands for one that does not is the last prediction, both guided halves in one. */
function latentGate(decide: Decide): Gate {
  const kinds: StepKind[] = [];
  let last: Tensor | undefined; // there is nothing to take again before a step has run
  return {
    predict: async (index, latent, run) => {
      const reuses = decide(index, latent.data) === "reuse" && last !== undefined;
      kinds[index] = reuses ? "forecast" : "full";
      if (!reuses) last = await run();
      return last!; // it ran, or is there
    },
    kindOf: (index) => kinds[index],
  };
}

/** Asks when a step's first graphs have run; what stands for the others is the last residual. */
function graphGate(
  decide: Decide,
  { signal, executor }: { readonly signal: GraphSignal; readonly executor: Executor },
): Gate {
  const front = frontOf(signal, executor.transformer);
  const kinds: StepKind[] = [];
  return {
    ask: (index, inputs) => ({
      front,
      reuses: async (streams) => {
        const numbers = await readSignal(signal, streams, { executor, inputs });
        // There is nothing to add again before a step has run.
        const reuses = decide(index, numbers) === "reuse" && kinds.length > 0;
        kinds[index] = reuses ? (front === 0 ? "reuse" : "mixed") : "full";
        return reuses;
      },
    }),
    kindOf: (index) => kinds[index],
  };
}
