/**
 * Runs the steps of a compiled plan: step first, then layer-wise.
 *
 * A reused step runs only the head on a kept state, with fresh conditioning. Any other step runs the
 * embedding, every merge and the head; the branch of a reused module is left out and its kept feature
 * is merged through this step's gate.
 *
 * *Source:* InvarDiff, arXiv 2512.05134.
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, Session, Value } from "../backend/backend.ts";
import type { Transformer } from "../model/module_graph.ts";
import type { GraphRecipe } from "./load_graph.ts";
import type { CallStep, ReuseStep, TrunkStep } from "../plan/compile.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { eventYielder } from "./yield_to_events.ts";
import { featureKey } from "./feature_cache.ts";
import type { PreparingOptions } from "./preparing.ts";
import type { RoundedLayers } from "./precision/rounded_layers.ts";
import { addKept, keptStreams, runKeepingResidual, type Trunk } from "./residual.ts";
import type { StepInputs } from "./step_inputs.ts";
import { askedAttentions, chooseTokens } from "./segment/chosen_tokens.ts";
import {
  dropFeatures,
  type FeatureCall as Call,
  keptFeatures,
  storeFeatures,
} from "./segment/feature_values.ts";
import { attendedName } from "./segment/partial.ts";
import * as segments from "./segment/segment.ts";
import { segmentRecipe } from "./segment/segment_recipe.ts";
import { uploadNumbers } from "./segment/step_numbers.ts";
import { Sessions } from "./sessions.ts";
import {
  asInputs,
  cutSegments,
  EMBEDDING,
  fullStep,
  HEAD,
  moduleParts,
  stepParts,
} from "./segment/step_segments.ts";
import { disposeAll, takeDown, type Values, whileAlive } from "./device_values.ts";

export interface LoadStepOptions extends PreparingOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onLoaded?: ((done: number, total: number) => void) | undefined;
}

/** A transformer on a backend; its sessions live until it is disposed. */
export class Executor {
  /** Its sessions, to which others may add. */
  readonly sessions: Sessions;
  readonly #yieldToEvents = eventYielder();

  /** Loads nothing yet. */
  constructor(
    readonly backend: Backend,
    readonly transformer: Transformer,
    weights: Weights,
    /** Which of its weights are integers; absent = none. */
    readonly rounded?: RoundedLayers,
  ) {
    this.sessions = new Sessions(backend, weights, { rounded });
  }

  /** How many graphs a step runs that keeps and reuses nothing. */
  get runsPerStep(): number {
    return this.#cut(stepParts(fullStep(this.transformer.modules.length))).length;
  }

  /**
   * Loads the sessions of a step that runs the trunk and keeps no state; on a GPU its weights only, since runs that
   * stay there have sessions of their own.
   */
  async load(step: TrunkStep, options: LoadStepOptions = {}): Promise<void> {
    const all = this.#cut(stepParts(step));
    for (const [i, segment] of all.entries()) {
      options.signal?.throwIfAborted();
      if (this.backend.gpu === undefined) await this.#session(segment, options.signal);
      else await this.sessions.share(this.#recipe(segment), options.signal);
      const [done, total] = [i + 1, all.length];
      options.onLoaded?.(done, total);
      options.onPreparing?.({ what: "graphs", done, total });
    }
  }

  /** Runs a step and returns the model's prediction `(N, C', H, W)`. */
  async runStep(step: CallStep, inputs: StepInputs): Promise<Tensor> {
    inputs.signal?.throwIfAborted();
    const { transformer, backend } = this;
    const isReuse = step.kind === "reuse";
    const call = {
      ...{ ...inputs, slot: step.slot },
      keep: isReuse ? [] : step.actions.map((action) => action.keep),
      chosen: isReuse ? new Map() : chooseTokens(step, transformer, { inputs, backend }),
    };
    const prediction = isReuse
      ? await this.#runReused(step, call)
      : await this.#runTrunk(step, call);
    if (!isReuse) dropFeatures(transformer, step, inputs.features);
    else if (step.drop) inputs.features.trim(`${step.slot} ${step.load}`, 0);
    return await takeDown(this.backend, prediction);
  }

  dispose(): Promise<void> {
    return this.sessions.dispose();
  }

  async #runReused(step: ReuseStep, call: Call): Promise<Value> {
    if (step.load === "hidden") {
      return await this.#runHead(keptStreams(step.load, this.transformer, call), call);
    }
    const embedded = await this.#runFromLatent([EMBEDDING], call);
    const hidden = await whileAlive(embedded, () => addKept(this.#trunk, embedded, call));
    return await whileAlive(hidden, () => this.#runHead(hidden, call));
  }

  async #runTrunk(step: TrunkStep, call: Call): Promise<Value> {
    const modules = moduleParts(step, {
      probed: call.probe ? this.transformer : undefined,
      chosen: call.chosen,
      asked: askedAttentions(step, this.transformer),
    });
    if (!step.storeHidden && !step.storeResidual) {
      const results = await this.#runFromLatent([EMBEDDING, ...modules, HEAD], call);
      return results[segments.PREDICTION]!; // the head's only result
    }
    const hidden = step.storeResidual
      ? await this.#runKeepingResidual(modules, call)
      : await this.#runFromLatent([EMBEDDING, ...modules], call);
    if (!step.storeHidden) return await whileAlive(hidden, () => this.#runHead(hidden, call));
    const { kept, rest } = this.#splitState(hidden);
    call.features.store(`${call.slot} hidden`, Object.values(kept));
    return await whileAlive(rest, () => this.#runHead(kept, call));
  }

  /** Splits the streams into those that the head reads and the rest. */
  #splitState(streams: Values): { readonly kept: Values; readonly rest: Values } {
    const names = segments.stateStreams(this.transformer).map(({ name }) => name);
    const pick = (wanted: boolean): Values =>
      Object.fromEntries(
        Object.entries(streams).filter(([name]) => names.includes(name) === wanted),
      );
    return { kept: pick(true), rest: pick(false) };
  }

  async #runKeepingResidual(modules: readonly segments.Part[], call: Call): Promise<Values> {
    const embedded = await this.#runFromLatent([EMBEDDING], call);
    const run = (): Promise<Values> => runKeepingResidual(this.#trunk, modules, { embedded, call });
    return await whileAlive(embedded, run);
  }

  async #runHead(hidden: Values, call: Call): Promise<Value> {
    return (await this.#chain([HEAD], hidden, call))[segments.PREDICTION]!;
  }

  async #runFromLatent(parts: readonly segments.Part[], call: Call): Promise<Values> {
    const latent = { [segments.LATENT]: this.backend.upload(call.latent) };
    return await whileAlive(latent, () => this.#chain(parts, latent, call));
  }

  /** Runs parts one after another. The caller owns the first streams and the results. */
  async #chain(parts: readonly segments.Part[], first: Values, call: Call): Promise<Values> {
    let streams = first;
    for (const segment of this.#cut(parts)) {
      const before = streams;
      const run = (): Promise<Values> => this.#runSegment(segment, before, call);
      streams = await (before === first ? run() : whileAlive(before, run));
    }
    return streams;
  }

  /** Runs one graph; the features it stores go to the cache, its streams or prediction are returned. */
  async #runSegment(segment: segments.Segment, streams: Values, call: Call): Promise<Values> {
    await this.#yieldToEvents();
    call.signal?.throwIfAborted();
    await this.#session(segment, call.signal);
    const numbers = uploadNumbers(segment, this.transformer, { ...call, backend: this.backend });
    const inputs = {
      ...call.constants,
      ...asInputs(streams),
      ...keptFeatures(this.transformer, segment, call),
      ...numbers,
    };
    const outputs = segments.segmentOutputs(this.transformer, segment);
    const results = await whileAlive(
      numbers,
      () => this.sessions.run(this.#recipe(segment), inputs, outputs),
    );
    const rest = storeFeatures(this.transformer, segment, { results, call });
    return await this.#hearAttentions(segment, rest, call);
  }

  /** Remembers what tokens are attended to, where a segment says it; returns its other results. */
  async #hearAttentions(segment: segments.Segment, results: Values, call: Call): Promise<Values> {
    const rest = { ...results };
    for (const part of segment) {
      if (part.kind !== "module" || !part.attended) continue;
      const module = this.transformer.modules[part.index]!; // parts are of this model
      const name = attendedName(module.name);
      const sums = rest[name]!; // it was asked for
      delete rest[name];
      try {
        const heard = await takeDown(this.backend, sums);
        call.features.tokens.attend(featureKey(call.slot, module), heard);
      } catch (error) {
        disposeAll(rest);
        throw error;
      }
    }
    return rest;
  }

  #session(segment: segments.Segment, signal: AbortSignal | undefined): Promise<Session> {
    return this.sessions.get(this.#recipe(segment), signal);
  }

  #recipe(segment: segments.Segment): GraphRecipe {
    return segmentRecipe(this.transformer, segment, this.backend.weights);
  }

  get #trunk(): Trunk {
    const { backend, transformer, sessions } = this;
    const chain: Trunk["chain"] = (parts, begun, call) => this.#chain(parts, begun, call);
    return { backend, transformer, sessions, chain };
  }

  #cut(parts: readonly segments.Part[]): segments.Segment[] {
    return cutSegments(parts, this.backend.weights);
  }
}
