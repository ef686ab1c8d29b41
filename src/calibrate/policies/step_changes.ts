/**
 * How far the first block's input, and what the trunk adds, move from step to step of runs in full.
 */

import { readSignal, relativeChange } from "../../engine/policies/signals.ts";
import type { Run } from "../../engine/run.ts";
import { PlanError } from "../../errors.ts";
import { sliceConditions } from "../task.ts";
import type { PolicyTask } from "./policy.ts";
import { recordResiduals } from "./residuals.ts";

/** Relative changes since the step before. */
export interface Change {
  /** Of what the first block is given, normalised and modulated. */
  readonly input: number;
  /** Of what the trunk adds. */
  readonly output: number;
}

/**
 * By step, but for the first: the changes of each run, of both guided halves together.
 *
 * @throws {PlanError} When a change is not finite.
 */
export async function recordChanges(task: PolicyTask): Promise<readonly (readonly Change[])[]> {
  const { conditions, steps, onProgress } = task;
  const { length: runs } = conditions.labels;
  const found: Change[][] = Array.from({ length: steps - 1 }, () => []);
  for (let run = 0; run < runs; run++) {
    const recorded = recordRun({ ...task, conditions: sliceConditions(conditions, run, 1) });
    let before: Recorded | undefined;
    for await (const now of recorded) {
      if (before !== undefined) found[now.index - 1]!.push(changeOf(now, before)); // not the first step
      before = now;
      onProgress?.(run * steps + now.index + 1, runs * steps);
    }
  }
  return found;
}

interface Recorded {
  readonly index: number;
  readonly input: Float32Array;
  readonly output: Float32Array;
}

function changeOf(now: Recorded, before: Recorded): Change {
  const input = relativeChange(now.input, before.input);
  const output = relativeChange(now.output, before.output);
  if (Number.isFinite(input) && Number.isFinite(output)) return { input, output };
  throw new PlanError(
    `Cannot calibrate: changes at step ${now.index} must be finite: current value is ${input}, ${output}`,
  );
}

/** Runs every step in full; a gate that lets all of them run sees what the first block is given. */
async function* recordRun(task: PolicyTask): AsyncGenerator<Recorded> {
  const { executor } = task.pipeline;
  let input: Float32Array = new Float32Array();
  const gate: Run["gate"] = {
    ask: (_, inputs) => ({
      front: 0,
      rows: async (streams) => {
        input = (await readSignal("first-input", streams, { executor, inputs })).data;
        return [...inputs.batch.keys()];
      },
    }),
    kindsOf: () => undefined,
  };
  for await (const { index, residual } of recordResiduals(task, gate)) {
    yield { index, input, output: residual.data };
  }
}
