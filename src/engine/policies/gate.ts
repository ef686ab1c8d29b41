/**
 * A batch that a policy decides: what it asks at each step of each picture, and what it said. Each picture has a rule of
 * its own, which remembers nothing of its neighbours; all of it belongs to the run of the batch and goes with it.
 */

import type { Backend } from "../../backend/backend.ts";
import { BackendError } from "../../errors.ts";
import { kindOf } from "../../plan/step_counts.ts";
import type { StepKind } from "../../plan/compile.ts";
import { pickRows, placeRows, sliceRows } from "../../tensor/rows.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Executor } from "../executor.ts";
import type { PreparedRun } from "../prepare.ts";
import type { GenerateOptions } from "../request.ts";
import type { StepInputs } from "../step_inputs.ts";
import { rowsOfPictures } from "../value_rows.ts";
import type { Decide } from "./policy.ts";
import { frontOf, type GraphSignal, readSignal } from "./signals.ts";

/** Decides the steps of the pictures of a batch. */
export interface Gate {
  /** What a step asks while it runs; absent where nothing does. */
  ask?(index: number, inputs: StepInputs): StepInputs["ask"];
  /**
   * What a step predicts, where that is decided by its latents before anything runs.
   *
   * @param run Runs all of it for some pictures, one at least, and returns a prediction for each.
   */
  predict?(
    index: number,
    latent: Tensor,
    run: (pictures: readonly number[]) => Promise<Tensor>,
  ): Promise<Tensor>;
  /** By picture what a step did, once it was asked. */
  kindsOf(index: number): readonly StepKind[] | undefined;
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

/** What each step did for the first picture; where a policy decides, each does what it finds for itself. */
export function decided(
  gates: readonly Gate[],
  { steps, policy }: Pick<PreparedRun, "steps" | "policy">,
): { readonly kinds: readonly StepKind[]; readonly policy?: Decided } {
  const batches = gates.map((gate) => steps.map((_, index) => gate.kindsOf(index) ?? []));
  const kinds = steps.map((step, index) => batches[0]?.[index]?.[0] ?? kindOf(step));
  if (policy === undefined) return { kinds };
  const reused = batches.flatMap((batch) =>
    batch[0]!.map((_, picture) => batch.filter((each) => each[picture] !== "full").length) // a run has a step
  );
  return { kinds, policy: { word: policy.word, reused } };
}

/** Opens the gate of a batch, where a policy was asked for. */
export function openGate(
  { policy: chosen, request: { labels, sampler: { times } } }: Pick<
    PreparedRun,
    "policy" | "request"
  >,
  executor: Executor,
): Gate | undefined {
  if (chosen === undefined) return undefined;
  const { policy: { begin, signal }, settings, tables } = chosen;
  const rules = labels.map(() => begin(settings, { times, tables }));
  return signal === "latent" ? latentGate(rules) : graphGate(rules, { signal, executor });
}

/** Asks before a step runs; what stands for one that does not is the last prediction, both guided halves in one. */
function latentGate(rules: readonly Decide[]): Gate {
  const steps = new DecidedSteps(rules, "forecast");
  let last: Tensor | undefined;
  return {
    predict: async (index, latent, run) => {
      const runs = steps.decide(index, (picture) => sliceRows(latent, picture, 1).data);
      if (runs.length === rules.length) last = await run(runs);
      else if (runs.length > 0) last = placeRows(last!, runs, await run(runs)); // all ran before
      return last!;
    },
    kindsOf: (index) => steps.kinds[index],
  };
}

/** Asks when a step's first graphs have run; what stands for the others is the last residual. */
function graphGate(
  rules: readonly Decide[],
  { signal, executor }: { readonly signal: GraphSignal; readonly executor: Executor },
): Gate {
  const front = frontOf(signal, executor.transformer);
  const steps = new DecidedSteps(rules, front === 0 ? "reuse" : "mixed");
  return {
    ask: (index, inputs) => ({
      front,
      rows: async (streams) => {
        const numbers = await readSignal(signal, streams, { executor, inputs });
        const { length: rows } = inputs.batch;
        const ofPicture = (picture: number): readonly number[] =>
          rowsOfPictures([picture], { of: rules.length, rows });
        const runs = steps.decide(index, (picture) => pickRows(numbers, ofPicture(picture)).data);
        return rowsOfPictures(runs, { of: rules.length, rows });
      },
    }),
    kindsOf: (index) => steps.kinds[index],
  };
}

/** What each picture's rule said at each step. */
class DecidedSteps {
  /** By step, then by picture. */
  readonly kinds: StepKind[][] = [];

  constructor(readonly rules: readonly Decide[], readonly reused: StepKind) {}

  /** The pictures that run at a step, in order: all at the first, where there is nothing to take again. */
  decide(index: number, numbersOf: (picture: number) => Float32Array): readonly number[] {
    const isFirst = this.kinds.length === 0;
    const kinds = this.rules.map((rule, picture) => {
      const decision = rule(index, numbersOf(picture));
      return decision === "reuse" && !isFirst ? this.reused : "full";
    });
    this.kinds[index] = kinds;
    return kinds.flatMap((kind, picture) => kind === "full" ? [picture] : []);
  }
}
