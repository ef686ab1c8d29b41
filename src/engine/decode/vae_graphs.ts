/**
 * Running an autoencoder's graphs one after another for one picture.
 */

import type { Weights } from "../../assets/weights.ts";
import type { Backend, Value } from "../../backend/backend.ts";
import type { GraphStep, LayerStep, MiddleGraphs } from "../../model/vae/layer_step.ts";
import type { Encoder } from "../../model/vae/encoder.ts";
import type { Vae } from "../../model/vae/vae.ts";
import { GIVEN, MEASURED, OWN } from "../../model/vae/blocks.ts";
import type { GraphBuilder } from "../../onnx/graph.ts";
import { type Tensor, zeros } from "../../tensor/tensor.ts";
import { attend, queriesAtOnce } from "./chunked_attention.ts";
import { eventYielder } from "../yield_to_events.ts";
import { Sessions } from "../sessions.ts";
import type { Statistics } from "./group_statistics.ts";
import {
  disposeAll,
  runOnHost,
  takeDown,
  type Tensors,
  type Values,
  whileAlive,
} from "../device_values.ts";

/** How to run a part of a picture; without statistics, norms use the part's own. */
export interface PartCall {
  readonly signal: AbortSignal | undefined;
  readonly given?: Statistics;
  /** Where statistics that norms measure are added. */
  readonly measure?: Statistics;
}

/** Pixels up to which steps run as one: what a graph is given stays until its end, 32 MiB of 128 channels at most. */
const SMALL_PICTURE = 1 << 16;

/** The graphs of an autoencoder on a backend. Pictures are `(1, C, H, W)`. */
export class VaeGraphs {
  readonly #sessions: Sessions;
  readonly #yieldToEvents = eventYielder();

  /** Loads nothing yet. */
  constructor(readonly backend: Backend, readonly vae: Vae, weights: Weights) {
    // Otherwise each session would keep the memory of its largest picture: 3 GiB in all at 256 × 256.
    this.#sessions = new Sessions(backend, weights, { memory: "freed" });
  }

  /** Decodes a latent to a picture, in one piece. */
  async decode(latent: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
    const { middle, up, upWhole, scale } = this.vae;
    const x = await this.#middle(middle, this.backend.upload(latent), signal);
    const isSmall = pixelsOf(latent) * scale ** 2 <= SMALL_PICTURE;
    const steps = isSmall && upWhole || up;
    return await takeDown(this.backend, await this.#runSteps(steps, { x }, { signal }));
  }

  /** Encodes a picture to its latent, in one piece. */
  async encode(picture: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
    const { middle, down } = encoderOf(this.vae);
    const x = await this.#runSteps(down, { x: this.backend.upload(picture) }, { signal });
    return await takeDown(this.backend, await this.#middle(middle, x, signal));
  }

  /** Runs the middle of a half: before tiles are cut from its result, or after they were put together. */
  async runMiddle(
    middle: MiddleGraphs,
    picture: Tensor,
    signal: AbortSignal | undefined,
  ): Promise<Tensor> {
    const result = await this.#middle(middle, this.backend.upload(picture), signal);
    return await takeDown(this.backend, result);
  }

  /** Runs all steps of a half for a part of a picture. */
  async runPart(steps: readonly LayerStep[], part: Tensor, call: PartCall): Promise<Tensor> {
    const x = this.backend.upload(part);
    return await takeDown(this.backend, await this.#runSteps(steps, { x }, call));
  }

  /** One step for a part of a picture: `x`, and `skip` if it needs it, to `y` and perhaps `round`. */
  async runStep(step: LayerStep, streams: Tensors, call: PartCall): Promise<Tensors> {
    return await runOnHost(this.backend, streams, (values) => this.#runStep(step, values, call));
  }

  dispose(): Promise<void> {
    return this.#sessions.dispose();
  }

  /** Runs all steps; disposes of what it is given. */
  async #runSteps(
    steps: readonly GraphStep[],
    first: Values,
    call: PartCall,
  ): Promise<Value> {
    let streams = first;
    try {
      for (const step of steps) {
        const { kind, graph } = step;
        const { x, skip } = streams;
        const leaves = graph.inputs.some(({ name }) => name === "skip");
        const made = await this.#runStep(step, leaves ? streams : { x: x! }, call); // every step has x
        const round = kind === "enter" ? made["round"] ?? x : kind === "within" ? skip : undefined;
        const before = streams;
        streams = { x: made["y"]!, ...(round && { skip: round }) };
        disposeAllBut(streams, before);
      }
    } catch (error) {
      disposeAll(streams);
      throw error;
    }
    return streams["x"]!;
  }

  /** Runs one step; the statistics it measures go where the call says, `y` and `round` are returned. */
  async #runStep({ graph }: GraphStep, streams: Values, call: PartCall): Promise<Values> {
    const { outputs } = graph;
    const wanted = outputs.map(({ name }) => name)
      .filter((name) => call.measure !== undefined || !name.startsWith(MEASURED));
    const statistics = this.#uploadStatistics(graph, call);
    const results = await whileAlive(
      statistics,
      () => this.#run(graph, { ...streams, ...statistics }, { ...call, outputs: wanted }),
    );
    const isMeasured = ([name]: readonly [string, Value]): boolean => name.startsWith(MEASURED);
    const entries = Object.entries(results);
    const rest = Object.fromEntries(entries.filter((entry) => !isMeasured(entry)));
    const measured = Object.fromEntries(entries.filter(isMeasured));
    try {
      await this.#addMeasured(measured, { ...call, weight: pixelsOf(streams["x"]!) });
    } catch (error) {
      disposeAll(rest);
      throw error;
    }
    return rest;
  }

  /** Uploads the statistics of the whole picture that a graph with norms takes. */
  #uploadStatistics(graph: GraphBuilder, { given }: PartCall): Values {
    const inputs = graph.inputs.filter(({ name }) => name === OWN || name.startsWith(GIVEN));
    return Object.fromEntries(inputs.map(({ name, dims }) => {
      const absent = zeros(dims.map(Number));
      const own = { dims: [1], data: Float32Array.of(given === undefined ? 1 : 0) };
      const numbers = name === OWN ? own : given?.get(name.slice(GIVEN.length)) ?? absent;
      return [name, this.backend.upload(numbers)];
    }));
  }

  async #addMeasured(
    results: Values,
    { measure, weight }: PartCall & { readonly weight: number },
  ): Promise<void> {
    await whileAlive(results, async () => {
      for (const [name, value] of Object.entries(results)) {
        measure?.add(name.slice(MEASURED.length), await this.backend.download(value), weight);
      }
    });
  }

  /** Runs a middle; disposes of x. */
  async #middle(
    { before, attention, after }: MiddleGraphs,
    x: Value,
    signal: AbortSignal | undefined,
  ): Promise<Value> {
    const runOne = async (graph: GraphBuilder, inputs: Values): Promise<Value> =>
      (await this.#run(graph, inputs, { outputs: ["y"], signal }))["y"]!;
    const outputs = before.outputs.map(({ name }) => name);
    const { y, ...tokens } = await whileAlive(
      { x },
      () => this.#run(before, { x }, { outputs, signal }),
    );
    if (after === undefined) return y!;
    return await whileAlive({ y: y! }, async () => {
      const mixed = attention && await whileAlive(tokens, () => {
        const most = queriesAtOnce(tokens["q"]!); // before attention
        return attend(this.backend, tokens, { run: (some) => runOne(attention, some), most });
      });
      const beside: Readonly<Record<string, Value>> = mixed === undefined ? {} : { mixed };
      return await whileAlive(beside, () => runOne(after, { x: y!, ...beside }));
    });
  }

  async #run(
    graph: GraphBuilder,
    inputs: Values,
    { outputs, signal }: {
      readonly outputs: readonly string[];
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<Values> {
    await this.#yieldToEvents();
    signal?.throwIfAborted();
    return await this.#sessions.run({ key: graph.name, build: () => graph }, inputs, outputs);
  }
}

/** @throws {RangeError} When an autoencoder has no encoder. */
export function encoderOf({ encoder }: Vae): Encoder {
  if (encoder !== undefined) return encoder;
  throw new RangeError(
    "Cannot encode pictures: the autoencoder has no encoder, or none of a kind that is computed.",
  );
}

/** Disposes of the values that are not kept. */
function disposeAllBut(kept: Values, values: Values): void {
  const alive = new Set(Object.values(kept));
  Object.values(values).filter((value) => !alive.has(value)).forEach((value) => value.dispose());
}

function pixelsOf({ dims: [, , height = 0, width = 0] }: Pick<Value, "dims">): number {
  return height * width;
}
