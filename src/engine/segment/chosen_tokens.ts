/**
 * Which tokens the modules of a step compute, and what their graphs are given for that.
 */

import type { Backend } from "../../backend/backend.ts";
import type { Module, Transformer } from "../../model/module_graph.ts";
import type { Dim } from "../../onnx/graph.ts";
import type { ModuleAction, TrunkStep } from "../../plan/compile.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { featureKey } from "../feature_cache.ts";
import type { StepInputs } from "../step_inputs.ts";
import { expectPartial } from "./expect_cells.ts";
import { withBatch } from "./segment.ts";
import type { TokenQuestion } from "./token_record.ts";

/** What a graph that computes some tokens of a module is given. */
export interface ChosenTokens {
  /** `(N, K, 1)` */
  readonly tokens: Tensor;
  /** `(N, T, 1)` */
  readonly places: Tensor;
  /** Stands for the kept feature `(N, 1, D)` where every token is computed. */
  readonly base?: Tensor;
}

/**
 * Chooses the tokens of a step, by module; one that is absent runs or reuses all of its tokens. The run remembers. Where
 * a session owns its weights, steps that run the module in full choose all tokens.
 *
 * @throws {PlanError} As {@linkcode expectPartial}.
 */
export function chooseTokens(
  step: TrunkStep,
  transformer: Transformer,
  { inputs, backend }: { readonly inputs: StepInputs; readonly backend: Backend },
): ReadonlyMap<number, ChosenTokens> {
  const chosen = new Map<number, ChosenTokens>();
  expectPartial(step, transformer, backend);
  for (const [index, action] of step.actions.entries()) {
    if (action.score === undefined) continue;
    const module = transformer.modules[index]!; // a step is of this transformer
    const key = featureKey(step.slot, module);
    const question = questionOf(action, { module, step, transformer, inputs });
    if (action.kind === "run") {
      inputs.features.tokens.renew(key);
      if (backend.weights === "initializers") chosen.set(index, allTokens(question, module));
    }
    if (action.kind !== "partial") continue;
    const rows = inputs.features.tokens.choose(key, question);
    // Without tokens it is reused as it is, unless a later step wants it beside the one before it.
    if (question.count > 0 || action.keep > 1) chosen.set(index, someTokens(rows, question));
  }
  return chosen;
}

function questionOf(
  { share = 1, score }: ModuleAction,
  { module, step, transformer, inputs }: {
    readonly module: Module;
    readonly step: TrunkStep;
    readonly transformer: Transformer;
    readonly inputs: StepInputs;
  },
): TokenQuestion {
  const { batch, sizes = transformer.sizes, grid } = inputs;
  const { tokens: own, name, featureDims } = module;
  if (own === undefined || score === undefined) {
    throw new Error(`Internal error: tokens of ${name} cannot be computed alone`);
  }
  const sizeOf = (size: Dim = 0): number => withBatch([size], batch.length, sizes)[0]!; // one size
  const tokens = sizeOf(featureDims[0]![1]); // (N, T, D)
  const [rows, columns] = grid ?? [];
  return {
    ...{ rows: batch.length, tokens, count: Math.floor(share * tokens), score },
    attention: {
      name: featureKey(step.slot, { name: own.attention }),
      first: sizeOf(own.first),
    },
    ...(own.picture !== undefined && rows !== undefined && columns !== undefined && {
      picture: { first: sizeOf(own.picture), grid: [rows, columns] },
    }),
  };
}

function allTokens({ rows, tokens }: TokenQuestion, { featureDims }: Module): ChosenTokens {
  const each = rowsOf(rows, tokens, (_, t) => t);
  const width = Number(featureDims[0]!.at(-1));
  return {
    ...{ tokens: each, places: each },
    base: { dims: [rows, 1, width], data: new Float32Array(rows * width) },
  };
}

/** Each row's chosen tokens; where there are none, one is computed and not taken, for a graph needs one. */
function someTokens(
  chosen: readonly (readonly number[])[],
  { rows, tokens, count }: TokenQuestion,
): ChosenTokens {
  const taken = Math.max(count, 1);
  const indices = rowsOf(rows, taken, (row, i) => chosen[row]![i] ?? 0); // a list for each row
  const places = rowsOf(rows, tokens, (_, t) => taken + t);
  chosen.forEach((list, row) => list.forEach((token, i) => places.data[row * tokens + token] = i));
  return { tokens: indices, places };
}

function rowsOf(rows: number, count: number, at: (row: number, i: number) => number): Tensor {
  const data = new Float32Array(rows * count);
  for (let i = 0; i < data.length; i++) data[i] = at(Math.floor(i / count), i % count);
  return { dims: [rows, count, 1], data };
}

/** The attentions of a step whose tokens' shares a partial cell of its plan is chosen by. */
export function askedAttentions(step: TrunkStep, transformer: Transformer): ReadonlySet<number> {
  const names = new Set(step.actions.flatMap(({ score }, index) => {
    const attention = transformer.modules[index]?.tokens?.attention;
    return score === undefined || score.attention === 0 || attention === undefined ? [] : attention;
  }));
  if (names.size === 0) return new Set();
  return new Set(
    [...transformer.modules.keys()].filter((index) => names.has(transformer.modules[index]!.name) // its own index
    ),
  );
}
