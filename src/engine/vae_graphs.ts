/**
 * Running an autoencoder's graphs one after another for one picture.
 *
 * @module
 */

import type { Weights } from "../assets/weights.ts";
import type { Backend, Value } from "../backend/backend.ts";
import type { MiddleGraphs, Vae } from "../model/vae.ts";
import { GIVEN, MEASURED, OWN } from "../model/vae_blocks.ts";
import type { GraphBuilder } from "../onnx/graph.ts";
import { type Tensor, zeros } from "../tensor/tensor.ts";
import { breather } from "./breathe.ts";
import { GraphSessions } from "./graph_sessions.ts";
import type { Statistics } from "./group_statistics.ts";
import { takeDown, type Values, whileAlive } from "./transfer.ts";

/** Most numbers of an attention's table of queries and pixels, 64 MiB: 4096 pixels see each other at once. */
const ATTENTION_NUMBERS = 1 << 24;

/** How to run a part of a picture; without statistics norms are those of a whole picture by itself. */
export interface PartCall {
  /** Stops between graphs. */
  readonly signal: AbortSignal | undefined;
  /** Statistics that norms use. */
  readonly given?: Statistics;
  /** Where statistics that norms measure are added. */
  readonly measure?: Statistics;
}

/** The graphs of an autoencoder on a backend. Pictures are `(1, C, H, W)`. */
export class VaeGraphs {
  readonly #sessions: GraphSessions;
  readonly #breathe = breather();

  /** Loads nothing yet. */
  constructor(
    /** Where they run. */
    readonly backend: Backend,
    /** What they compute. */
    readonly vae: Vae,
    /** With which weights. */
    weights: Weights,
  ) {
    this.#sessions = new GraphSessions(backend, weights);
  }

  /** A latent to a picture, in one piece. */
  async decode(latent: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
    const { middle, up } = this.vae.decoder;
    const features = await this.#middle(middle, this.backend.upload(latent), signal);
    return await takeDown(this.backend, await this.#chain(up, features, { signal }));
  }

  /** A latent to what tiles are cut from. */
  async decodeMiddle(latent: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
    const { middle } = this.vae.decoder;
    const features = await this.#middle(middle, this.backend.upload(latent), signal);
    return await takeDown(this.backend, features);
  }

  /** A part of what comes out of the middle to its pixels. */
  async decodePart(features: Tensor, call: PartCall): Promise<Tensor> {
    const x = this.backend.upload(features);
    return await takeDown(this.backend, await this.#chain(this.vae.decoder.up, x, call));
  }

  /** A picture to the mean of its latent. */
  async encode(picture: Tensor, signal: AbortSignal | undefined): Promise<Tensor> {
    const { down, middle } = this.vae.encoder;
    const features = await this.#chain(down, this.backend.upload(picture), { signal });
    return await takeDown(this.backend, await this.#middle(middle, features, signal));
  }

  /** Frees sessions and weights. */
  dispose(): Promise<void> {
    return this.#sessions.dispose();
  }

  /** Runs graphs one after another; disposes of x. */
  async #chain(graphs: readonly GraphBuilder[], x: Value, call: PartCall): Promise<Value> {
    let current = x;
    for (const graph of graphs) {
      const before = current;
      current = await whileAlive({ before }, () => this.#runPart(graph, before, call));
    }
    return current;
  }

  async #runPart(graph: GraphBuilder, x: Value, call: PartCall): Promise<Value> {
    const norms = normsOf(graph);
    const measured = call.measure === undefined ? [] : norms.map((norm) => `${MEASURED}${norm}`);
    const statistics = this.#uploadStatistics(graph, call);
    const { y, ...rest } = await whileAlive(
      statistics,
      () => this.#run(graph, { x, ...statistics }, { ...call, outputs: ["y", ...measured] }),
    );
    await this.#addMeasured(rest, { ...call, weight: pixelsOf(x) }).catch((error) => {
      y!.dispose();
      throw error;
    });
    return y!; // it was asked for
  }

  /** What a graph with norms is told of the whole picture. */
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

  /** Runs the middle of one half; disposes of x. */
  async #middle(
    { before, attention, behind }: MiddleGraphs,
    x: Value,
    signal: AbortSignal | undefined,
  ): Promise<Value> {
    const outputs = ["y", "q", "k", "v"];
    const { y, ...tokens } = await whileAlive(
      { x },
      () => this.#run(before, { x }, { outputs, signal }),
    );
    return await whileAlive({ y: y! }, async () => { // it was asked for
      const mixed = await whileAlive(tokens, () => this.#attend(attention, tokens, signal));
      return await whileAlive({ mixed }, async () => {
        const inputs = { x: y!, mixed };
        return (await this.#run(behind, inputs, { outputs: ["y"], signal }))["y"]!; // asked for
      });
    });
  }

  /** Attention of all pixels; of many in several runs, each of some queries. */
  async #attend(
    graph: GraphBuilder,
    tokens: Values,
    signal: AbortSignal | undefined,
  ): Promise<Value> {
    const [, pixels = 0] = tokens["q"]!.dims; // one of three
    const most = Math.max(1, Math.floor(ATTENTION_NUMBERS / pixels));
    if (pixels <= most) {
      return (await this.#run(graph, tokens, { outputs: ["y"], signal }))["y"]!; // asked for
    }
    const queries = await this.backend.download(tokens["q"]!); // as above
    const mixed = zeros(queries.dims);
    const width = queries.dims[2]!; // rank 3
    for (let first = 0; first < pixels; first += most) {
      const data = queries.data.subarray(first * width, (first + most) * width);
      const q = this.backend.upload({ dims: [1, data.length / width, width], data });
      const { y } = await whileAlive(
        { q },
        () => this.#run(graph, { ...tokens, q }, { outputs: ["y"], signal }),
      );
      mixed.data.set((await takeDown(this.backend, y!)).data, first * width); // asked for
    }
    return this.backend.upload(mixed);
  }

  async #run(
    graph: GraphBuilder,
    inputs: Values,
    { outputs, signal }: {
      readonly outputs: readonly string[];
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<Values> {
    await this.#breathe();
    signal?.throwIfAborted();
    return await this.#sessions.run(graph, inputs, { outputs, signal });
  }
}

/** Names of the norms that can be given statistics. */
function normsOf({ inputs }: GraphBuilder): string[] {
  return inputs.filter(({ name }) => name.startsWith(GIVEN))
    .map(({ name }) => name.slice(GIVEN.length));
}

function pixelsOf({ dims: [, , height = 0, width = 0] }: Value): number {
  return height * width;
}
