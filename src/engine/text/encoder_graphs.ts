/**
 * A text encoder on a backend: its blocks run one after another, each loaded, run for all texts and freed, or all of
 * them kept for the next texts.
 *
 * Every text runs alone, so that its numbers do not depend on its neighbours, and what is held beside a block's
 * weights does not grow with their number but by their hidden states.
 */

import type { Backend } from "../../backend/backend.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import {
  BIAS,
  type EncodedText,
  INPUT,
  RESULT,
  type TextGraph,
  type TextOutput,
  type TextTokens,
} from "../../text/network.ts";
import type { OpenedEncoder } from "../../text/open_encoder.ts";
import { runOnHost } from "../device_values.ts";
import type { RoundedLayers } from "../precision/rounded_layers.ts";
import { Sessions } from "../sessions.ts";
import { eventYielder } from "../yield_to_events.ts";

export interface EncodeOptions {
  /** What to compute; blocks that none of them needs do not run. */
  readonly outputs: readonly TextOutput[];
  /** Whether sessions stay for the next texts, or are freed block by block. */
  readonly sessions: "kept" | "freed";
  /** Called when a text has run through a graph. */
  readonly onRun?: (() => void) | undefined;
  /** Stops before the next graph. */
  readonly signal?: AbortSignal | undefined;
}

/** A text on its way through the blocks. */
interface Stream {
  readonly tokens: TextTokens;
  readonly bias: Tensor;
  x: Tensor;
}

/** An encoder's graphs; kept sessions live until it is disposed. */
export class EncoderGraphs {
  #kept: Sessions | undefined;
  readonly #yieldToEvents = eventYielder();

  /** Loads nothing yet. */
  constructor(
    readonly backend: Backend,
    readonly encoder: OpenedEncoder,
    /** Which of its weights are integers; absent = none. */
    readonly rounded?: RoundedLayers,
  ) {}

  /** How many graphs a text runs through, for these outputs. */
  graphsFor(outputs: readonly TextOutput[]): number {
    const { network: { blocks, pooling } } = this.encoder;
    if (outputs.every((output) => output === "penultimate")) return blocks.length - 1;
    const isProjected = outputs.includes("pooled") && pooling?.projection !== undefined;
    return blocks.length + 1 + (isProjected ? 1 : 0); // the norm at the end, and the projection
  }

  /**
   * Encodes texts, each to the outputs that are asked for.
   *
   * @throws {RangeError} When an id is none of the vocabulary, or a text is too long for the encoder.
   * @throws {BackendError} When the backend has no memory left.
   */
  async encode(texts: readonly TextTokens[], options: EncodeOptions): Promise<EncodedText[]> {
    const { network: { blocks, final, pooling } } = this.encoder;
    const wanted = new Set(options.outputs);
    const streams = await this.#begin(texts, options);
    const results: Record<string, Tensor>[] = texts.map(() => ({}));
    const keep = (name: TextOutput, rows: readonly Tensor[]): void => {
      if (wanted.has(name)) results.forEach((result, i) => result[name] = rows[i]!); // one for each
    };
    const through = async (graph: TextGraph): Promise<void> => {
      await this.#run(graph, streams, options);
    };
    const states = (): Tensor[] => streams.map(({ x }) => x);
    for (const block of blocks.slice(0, -1)) await through(block);
    keep("penultimate", states());
    if (!wanted.has("last") && !wanted.has("pooled")) return results;
    await through(blocks.at(-1)!); // a network has a block
    await through(final);
    keep("last", states());
    if (pooling === undefined || !wanted.has("pooled")) return results;
    for (const stream of streams) stream.x = rowOf(stream.x, pooling.endOf(stream.tokens));
    if (pooling.projection !== undefined) await through(pooling.projection);
    keep("pooled", states());
    return results;
  }

  /** Frees what is kept; the next texts load it again. */
  async dispose(): Promise<void> {
    const kept = this.#kept;
    this.#kept = undefined;
    await kept?.dispose();
  }

  async #begin(
    texts: readonly TextTokens[],
    { signal }: EncodeOptions,
  ): Promise<readonly Stream[]> {
    const { network, weights } = this.encoder;
    signal?.throwIfAborted();
    const embedded = await network.embed(texts, weights);
    const streams: Stream[] = [];
    for (const [i, tokens] of texts.entries()) {
      signal?.throwIfAborted();
      const bias = await network.bias(tokens, weights, signal);
      streams.push({ tokens, bias, x: embedded[i]! }); // one for each text
    }
    return streams;
  }

  /** Takes all texts through one graph. Between graphs they are on the host, for sessions come and go. */
  async #run(
    graph: TextGraph,
    streams: readonly Stream[],
    { sessions, signal, onRun }: EncodeOptions,
  ): Promise<void> {
    const held = sessions === "kept" ? this.#kept ??= this.#sessions("kept") : undefined;
    const loaded = held ?? this.#sessions("freed");
    const takesBias = this.encoder.network.blocks.includes(graph);
    try {
      for (const stream of streams) {
        await this.#yieldToEvents();
        signal?.throwIfAborted();
        const inputs = { [INPUT]: stream.x, ...(takesBias && { [BIAS]: stream.bias }) };
        const results = await runOnHost(
          this.backend,
          inputs,
          (values) => loaded.run(graph, values, [RESULT]),
        );
        stream.x = results[RESULT]!; // the graph's only result
        onRun?.();
      }
    } finally {
      if (loaded !== held) await loaded.dispose();
    }
  }

  #sessions(memory: "kept" | "freed"): Sessions {
    return new Sessions(this.backend, this.encoder.weights, { rounded: this.rounded, memory });
  }
}

/** One row `(1, D)` of hidden states `(1, M, D)`. */
function rowOf({ dims: [, , width = 0], data }: Tensor, token: number): Tensor {
  return { dims: [1, width], data: data.slice(token * width, (token + 1) * width) };
}
