/**
 * A step of a plan as one graph, with kept states among its inputs and results, and each modulation vector an input of
 * its own, so that no operator has to cut it out.
 */

import {
  HEAD_MODULATION,
  modulationOf,
  type ModulationPart,
  type Streams,
  type Transformer,
} from "../../model/module_graph.ts";
import { GraphBuilder, type LinearLowering, type Node } from "../../onnx/graph.ts";
import { add, identity, subtract } from "../../onnx/operators.ts";
import { type Cell, CELLS, loadsOf, type State, STATE_NAMES } from "../../plan/cells.ts";
import { type CallStep, type Step, stores, type TrunkStep } from "../../plan/compile.ts";
import {
  featureName,
  FROM_KEPT,
  keptInputs,
  type LoadingCell,
  weightReader,
} from "../segment/kept_features.ts";
import { LATENT, PREDICTION, stateStreams } from "../segment/segment.ts";

/** One row of a part of the conditioning table. */
export interface VectorRow {
  readonly part: string;
  readonly row: number;
}

/** The graph of a kind of step. */
export interface StepGraph {
  readonly graph: GraphBuilder;
  /** By input: the modulation vector `(N, 1, D)` that it takes. */
  readonly vectors: ReadonlyMap<string, VectorRow>;
}

/** Equal for steps with the same graph. */
export function stepKey(step: CallStep): string {
  if (step.kind === "reuse") return step.load;
  const marks = step.actions.map((action) =>
    `${CELLS[action.kind].mark}${action.weights?.length ?? ""}${stores(action) ? "s" : ""}`
  );
  return [marks.join(""), step.storeHidden && "hidden", step.storeResidual && "residual"]
    .filter((part) => part !== false).join(" ");
}

/** The weights of all features that a step forecasts, one after the other. */
export function stepWeights(step: Step): readonly number[] {
  if (step.kind === "reuse" || step.kind === "forecast") return [];
  return step.actions.flatMap(({ weights }) => weights ?? []);
}

/** The states that some step loads. */
export function loadedStates(steps: readonly Step[]): readonly State[] {
  return STATE_NAMES.filter((state) =>
    steps.some((step) => step.kind === "reuse" && step.load === state)
  );
}

/** Name of a stream of a kept state, as graph input or output. */
export function stateName(state: State, stream: string): string {
  return `${state}.${stream}`;
}

/** Builds the graph of a step; linear layers of branches by `lowering`. */
export function buildStep(
  transformer: Transformer,
  step: CallStep,
  lowering?: LinearLowering,
): StepGraph {
  const builder = new StepBuilder(transformer, step);
  if (step.kind === "reuse") builder.reuse(step.load);
  else builder.trunk(step, lowering);
  return builder;
}

/** A kind of cell that loads a feature as it is; runs with partial cells do not come here. */
function loading(kind: Exclude<Cell, "run" | "skip">): LoadingCell {
  if (kind !== "partial") return kind;
  throw new Error("Internal error: a step on a GPU has a partial cell");
}

class StepBuilder implements StepGraph {
  readonly graph: GraphBuilder;
  readonly vectors = new Map<string, VectorRow>();

  constructor(readonly transformer: Transformer, step: CallStep) {
    this.graph = new GraphBuilder(stepKey(step));
  }

  /** Nothing but the head on a kept state, or on the embedding and a kept residual. */
  reuse(state: State): void {
    const kept = Object.fromEntries(
      stateStreams(this.transformer).map(({ name, dims }) =>
        [name, this.graph.input(stateName(state, name), dims)] as const
      ),
    );
    if (state === "hidden") return this.#head(kept);
    const embedded = this.#embed();
    const streams = Object.entries(kept).map(([name, node]) =>
      [name, add(this.graph, embedded[name]!, node)] as const // a state has streams of the embedding
    );
    this.#head(Object.fromEntries(streams));
  }

  trunk(step: TrunkStep, lowering?: LinearLowering): void {
    const { actions, storeHidden, storeResidual } = step;
    const { graph, transformer: { modules } } = this;
    const takeWeights = weightReader(stepWeights(step).length, graph);
    const embedded = this.#embed();
    let streams = embedded;
    for (const [index, action] of actions.entries()) {
      if (action.kind === "skip") continue;
      const module = modules[index]!; // a step is of this transformer
      const vectors = this.#rows(modulationOf(module));
      const loads = loadsOf(action.kind, action.weights);
      const before = streams;
      const { kind } = action;
      streams = graph.lowered(lowering, () => {
        const features = kind === "run"
          ? module.branch(graph, before, vectors)
          : FROM_KEPT[loading(kind)](
            graph,
            keptInputs(graph, module, loads),
            takeWeights(action.weights?.length ?? 0),
          );
        const name = (i: number): string => featureName(module.name, i);
        if (stores(action)) features.forEach((node, i) => graph.output(name(i), node));
        return module.merge(graph, before, vectors, features);
      });
    }
    for (const { name } of stateStreams(this.transformer)) {
      const stream = streams[name]!; // a state is made of streams
      if (storeHidden) this.#output(stateName("hidden", name), stream);
      if (!storeResidual) continue;
      this.#output(stateName("residual", name), subtract(graph, stream, embedded[name]!));
    }
    this.#head(streams);
  }

  #embed(): Streams {
    const { embedding } = this.transformer;
    return embedding.build(this.graph, this.graph.input(LATENT, embedding.latentDims));
  }

  #head(streams: Streams): void {
    const { head } = this.transformer;
    const rows = this.#rows([{ name: HEAD_MODULATION, rows: head.modulationRows }]);
    this.graph.output(PREDICTION, head.build(this.graph, streams, rows));
  }

  #rows(parts: readonly ModulationPart[]): readonly Node[] {
    return parts.flatMap(({ name: part, rows }) =>
      Array.from({ length: rows }, (_, row) => {
        const name = `vector.${part}.${row}`;
        this.vectors.set(name, { part, row });
        return this.graph.sharedInput(name, ["N", 1, this.transformer.conditioning.width]);
      })
    );
  }

  #output(name: string, node: Node): void {
    const isTaken = this.graph.inputs.includes(node) ||
      this.graph.outputs.some((output) => output.node === node);
    this.graph.output(name, isTaken ? identity(this.graph, node) : node);
  }
}
