/**
 * What an encoder made of texts, by text, so that a second picture of a prompt encodes nothing. It belongs to one
 * encoder in one precision, so that a text is enough of a key.
 */

import type { EncodedText } from "../../text/network.ts";

/** A text as an encoder has it. */
export interface Embedding {
  readonly encoded: EncodedText;
  /** Tokens of the whole text, those around it included. */
  readonly tokens: number;
}

/** Embeddings of the latest texts, as many as have room. */
export class EmbeddingCache {
  readonly #kept = new Map<string, Embedding>();
  #bytes = 0;

  /** @param limit Most bytes; a larger embedding is not kept. */
  constructor(readonly limit: number) {}

  /** What was made of a text; it counts as the latest from then on. */
  get(text: string): Embedding | undefined {
    const found = this.#kept.get(text);
    if (found === undefined) return undefined;
    this.#kept.delete(text);
    this.#kept.set(text, found);
    return found;
  }

  /** Keeps what was made of a text; the oldest make room. */
  set(text: string, embedding: Embedding): void {
    this.#drop(text);
    const size = sizeOf(embedding);
    if (size > this.limit) return;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes + size <= this.limit) break;
      this.#drop(oldest);
    }
    this.#kept.set(text, embedding);
    this.#bytes += size;
  }

  #drop(text: string): void {
    const found = this.#kept.get(text);
    if (found === undefined) return;
    this.#kept.delete(text);
    this.#bytes -= sizeOf(found);
  }
}

function sizeOf({ encoded }: Embedding): number {
  return Object.values(encoded).reduce((sum, { data }) => sum + data.byteLength, 0);
}
