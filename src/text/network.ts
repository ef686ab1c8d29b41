/**
 * A text encoder: token ids to hidden states, as graphs that run one after another, so that the weights of one
 * block at a time are enough.
 *
 * N batch, M tokens, D width, H heads. What is looked up in tables (embeddings, relative positions) is read from the
 * weights for the tokens at hand; no table is loaded.
 */

import type { Weights } from "../assets/weights.ts";
import type { GraphBuilder, LinearLowering } from "../onnx/graph.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** A graph of a network: x `(N, M, D)`, and in blocks the bias of attention, to y. */
export interface TextGraph {
  /** Unique in the network, and what messages call it. */
  readonly key: string;
  /** Builds it; `lowering` decides the precision of its linear layers. */
  readonly build: (lowering?: LinearLowering) => GraphBuilder;
}

/** Names of the inputs and the result of every graph. */
export const INPUT = "x";
export const BIAS = "bias";
export const RESULT = "y";

/** A tokenised text. */
export interface TextTokens {
  /** Padded to the length that the encoder is run with. */
  readonly ids: ArrayLike<number>;
  /** 1 where other tokens may look, 0 at pads; absent = everywhere. */
  readonly mask?: ArrayLike<number> | undefined;
}

/** What an encoder can be asked for. */
export type TextOutput =
  /** Hidden states after the last block and its norm, `(1, M, D)`. */
  | "last"
  /** Hidden states before the last block, `(1, M, D)`: transformers' `hidden_states[-2]`. */
  | "penultimate"
  /** The last hidden state of the end token, projected where the encoder has a projection, `(1, P)`. */
  | "pooled";

/** Results by name; those that were asked for. */
export type EncodedText = Readonly<Partial<Record<TextOutput, Tensor>>>;

/** A text encoder of some configuration, without weights. */
export interface TextNetwork {
  /** Ids are 0 … vocabularySize − 1. */
  readonly vocabularySize: number;
  /** Width D of hidden states. */
  readonly width: number;
  /** Most tokens; absent = any number. */
  readonly positions?: number;
  readonly blocks: readonly TextGraph[];
  /** The norm after the last block. */
  readonly final: TextGraph;
  /** How it makes the pooled output; absent = it has none. */
  readonly pooling?: TextPooling;
  /**
   * The first hidden states of each text, `(1, M, D)`.
   *
   * @throws {RangeError} When an id is none of the vocabulary, or there are too many.
   */
  embed(texts: readonly TextTokens[], weights: Weights): Promise<readonly Tensor[]>;
  /** What all blocks add to the logits of their attention, `(1, H or 1, M, M)`. */
  bias(tokens: TextTokens, weights: Weights, signal?: AbortSignal): Promise<Tensor>;
}

/** All graphs of a network, in the order in which they run. */
export function graphsOf({ blocks, final, pooling }: TextNetwork): readonly TextGraph[] {
  return [...blocks, final, ...(pooling?.projection ? [pooling.projection] : [])];
}

/** How hidden states become one row. */
export interface TextPooling {
  /** Place of the token whose last hidden state it is. */
  endOf(tokens: TextTokens): number;
  /** From that row `(1, D)` to the result `(1, P)`; absent = the row itself. */
  readonly projection?: TextGraph;
}
