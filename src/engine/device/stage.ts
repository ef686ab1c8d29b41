/**
 * Everything on the device that steps of one shape and plan need: buffers, which are made once, and a runner for each kind of step.
 */

import type { GpuAccess } from "../../backend/backend.ts";
import { Buffers, type Place, Scratch } from "../../backend/gpu/memory.ts";
import { type Encode, submit } from "../../backend/gpu/submit.ts";
import { type SumSizes, weightCount, WeightedSum } from "../../backend/gpu/weighted_sum.ts";
import type { Transformer } from "../../model/module_graph.ts";
import { fuse, type Fused } from "../../onnx/fuse.ts";
import type { Dim, LinearLowering } from "../../onnx/graph.ts";
import { sizeOf } from "../../onnx/sizes.ts";
import type { CallStep, Step } from "../../plan/compile.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { LATENT, PREDICTION, stateStreams } from "../segment/segment.ts";
import type { Sessions } from "../sessions.ts";
import { FeaturePlaces, keptModules } from "./feature_places.ts";
import { mayRearrange } from "./ends.ts";
import {
  buildStep,
  loadedStates,
  stateName,
  type StepGraph,
  stepKey,
  stepWeights,
} from "./step_graph.ts";
import { type Port, StepRunner } from "./step_kind.ts";
import { type VectorInput, VectorLayout } from "./vector_layout.ts";

/** What a stage is for. */
export interface StageShape {
  readonly transformer: Transformer;
  /** Rows of a batch: pictures, twice with a null half. */
  readonly rows: number;
  readonly sums: SumSizes;
  readonly steps: readonly Step[];
}

/** A kind of step, ready to run. */
export interface PreparedKind {
  readonly runner: StepRunner;
  readonly layout: VectorLayout;
  readonly vectors: Place;
}

/** Buffers and kinds of one shape. */
export class Stage {
  readonly gpu: GpuAccess;
  readonly sessions: Sessions;
  readonly buffers: Buffers;
  readonly latent: Place;
  /** The latent as the model takes it, for each row. */
  readonly given: Place;
  readonly estimate: Place;
  readonly history: Place;
  /** Weights of one step's update. */
  readonly weights: Place;
  readonly sum: WeightedSum;
  /** Bytes of features and states that are kept. */
  readonly keptBytes: number;
  /** Why kinds of steps are not replayed; empty when all are. */
  readonly refusals: string[] = [];
  readonly #scratch: Scratch;
  readonly #features: FeaturePlaces;
  readonly #states = new Map<string, Place>();
  readonly #constants = new Map<string, Place>();
  readonly #kinds = new Map<string, PreparedKind>();
  readonly #keys: string[] = [];
  readonly #prediction: Place;

  /** Makes its buffers; `name` is in the names of its sessions. */
  constructor(
    readonly name: string,
    readonly shape: StageShape,
    { gpu, sessions }: { readonly gpu: GpuAccess; readonly sessions: Sessions },
  ) {
    this.gpu = gpu;
    this.sessions = sessions;
    const { transformer, rows, sums, steps } = shape;
    this.buffers = new Buffers(gpu.device);
    this.#scratch = new Scratch(this.buffers);
    const { pictures, before, channels, predicted, after, history } = sums;
    const latent = 4 * pictures * before * channels * after;
    this.latent = this.buffers.make(latent);
    this.given = this.buffers.make(latent * rows / pictures);
    this.#prediction = this.buffers.make(4 * rows * before * predicted * after);
    this.estimate = this.buffers.make(latent);
    this.history = this.buffers.make(latent * history);
    this.weights = this.buffers.make(4 * weightCount(sums));
    this.sum = new WeightedSum(gpu.device, sums, { ...this, prediction: this.#prediction });
    this.#features = new FeaturePlaces(transformer, keptModules(steps), {
      buffers: this.buffers,
      rows,
    });
    let states = 0;
    for (const state of loadedStates(steps)) {
      for (const { name, dims } of stateStreams(transformer)) {
        const place = this.buffers.make(4 * elementCount(this.#dims(dims)));
        this.#states.set(stateName(state, name), place);
        states += place.size;
      }
    }
    this.keptBytes = this.#features.bytes + states;
  }

  /** Builds what the steps need and has not been built: sessions, shaders. */
  async prepare(signal: AbortSignal | undefined): Promise<void> {
    for (const step of this.shape.steps) {
      signal?.throwIfAborted();
      if (step.kind === "forecast") continue; // calls no model
      const key = stepKey(step);
      if (!this.#kinds.has(key)) this.#kinds.set(key, await this.#prepareKind(step, signal));
    }
  }

  /** The kind of a step that was prepared; `undefined` where it calls no model. */
  kind(step: Step): PreparedKind | undefined {
    if (step.kind === "forecast") return undefined;
    const key = stepKey(step);
    const prepared = this.#kinds.get(key);
    if (prepared === undefined) {
      throw new Error(`Internal error: no step of kind ${key} is prepared`);
    }
    return prepared;
  }

  /** What a step that stores features does with those that are kept beside them. */
  ageFeatures(step: Step): Encode {
    return this.#features.age(step, this.shape.transformer);
  }

  /** Gives commands to the device. */
  async submit(...parts: readonly Encode[]): Promise<void> {
    await this.gpu.inTurn(() => Promise.resolve(submit(this.gpu.device, ...parts)));
  }

  /** Where a constant of the run lies. */
  constant(name: string): Place | undefined {
    return this.#constants.get(name);
  }

  async dispose(): Promise<void> {
    for (const { runner } of this.#kinds.values()) runner.dispose();
    for (const key of this.#keys) await this.sessions.drop(key);
    this.buffers.dispose();
  }

  async #prepareKind(step: CallStep, signal: AbortSignal | undefined): Promise<PreparedKind> {
    const { transformer, rows } = this.shape;
    const made = this.#fused(step);
    const layout = new VectorLayout(vectorInputs(made), {
      ...{ rows, width: transformer.conditioning.width },
      weights: stepWeights(step).length,
    });
    const key = `${this.name} ${stepKey(step)}`;
    this.#keys.push(key);
    const build = (lowering?: LinearLowering): Fused["graph"] => this.#fused(step, lowering).graph;
    const session = await this.sessions.get({ key, build, sizes: this.#sizes() }, signal);
    const vectors = this.buffers.make(layout.byteLength); // after what a signal may stop
    const inputs = made.graph.inputs.map(({ name, dims }): Port => {
      const at = layout.offsets.get(name);
      const size = 4 * elementCount(this.#dims(dims));
      const place = at === undefined
        ? this.#placeOf(name, made, dims)
        : { buffer: vectors.buffer, offset: at, size };
      return { name, dims: this.#dims(dims), place };
    });
    const outputs = made.graph.outputs.map(({ name, node: { dims } }): Port => ({
      name,
      dims: this.#dims(dims),
      place: this.#placeOf(name, made, dims),
    }));
    const onRefused = (reason: string): void => void this.refusals.push(reason);
    const { gpu, buffers } = this;
    const parts = { inputs, outputs, gpu, buffers, scratch: this.#scratch, onRefused };
    const runner = new StepRunner(session, parts);
    await runner.compile();
    return { runner, layout, vectors };
  }

  #fused(step: CallStep, lowering?: LinearLowering): Fused & Pick<StepGraph, "vectors"> {
    const { graph, vectors } = buildStep(this.shape.transformer, step, lowering);
    const canStack = (names: readonly string[]): boolean =>
      this.#features.stretch(names) !== undefined;
    const sizes = this.#sizes();
    return { ...fuse(graph, { canStack, mayRearrange, sizes }), vectors };
  }

  /** Where what is not a vector lies. */
  #placeOf(name: string, { stacks }: Fused, dims: readonly Dim[]): Place {
    if (name === LATENT) return this.given;
    if (name === PREDICTION) return this.#prediction;
    const members = stacks.get(name);
    if (members !== undefined) return this.#features.stretch(members)!; // it could be stacked
    const known = this.#states.get(name) ?? this.#features.find(name) ?? this.#constants.get(name);
    if (known !== undefined) return known;
    const place = this.buffers.make(4 * elementCount(this.#dims(dims)));
    this.#constants.set(name, place);
    return place;
  }

  #dims(dims: readonly Dim[]): number[] {
    const { transformer: { sizes }, rows } = this.shape;
    return dims.map((size) => sizeOf(size, { ...sizes, N: rows }));
  }

  #sizes(): Readonly<Record<string, number>> {
    return { ...this.shape.transformer.sizes, N: this.shape.rows };
  }
}

/** Inputs of a graph that take modulation vectors, one or several each. */
function vectorInputs(
  { graph, offsets, stacks, vectors }: Fused & Pick<StepGraph, "vectors">,
): readonly VectorInput[] {
  return graph.inputs.flatMap(({ name }) => {
    const members = (stacks.get(name) ?? [name]).flatMap((member) => {
      const row = vectors.get(member);
      return row === undefined ? [] : [{ ...row, offset: offsets.get(member) ?? 0 }];
    });
    return members.length === 0 ? [] : [{ name, members }];
  });
}
