/**
 * Encodes prompts by a model's own text encoders.
 *
 * In a first run they are loaded block by block, before the transformer is, and nothing stays of them. Later ones are
 * kept between prompts where the latest run left room for it.
 */

import type { Backend } from "../../backend/backend.ts";
import type { Model } from "../../model/model.ts";
import type { Conditions } from "../../model/scene.ts";
import type { ModelText, TextPart } from "../../model/text.ts";
import { joinRows } from "../../tensor/rows.ts";
import { WEIGHT_COPIES } from "../memory/run.ts";
import { choosePrecision, roundLayers } from "../precision/choose.ts";
import { roundedLowering, type WeightPrecision } from "../precision/rounded_layers.ts";
import type { PromptText } from "../prompt_texts.ts";
import type { EncodedPrompts, EncodeOptions, PromptEncoder } from "../prompts.ts";
import { type Embedding, EmbeddingCache } from "./embedding_cache.ts";
import { type EncodeOptions as GraphOptions, EncoderGraphs } from "./encoder_graphs.ts";
import { encoderNeeds } from "./needs.ts";

/** Bytes of embeddings that are kept of each encoder: 32 MiB, four of FLUX.1's prompts. */
const CACHE_BYTES = 2 ** 25;
/** Room for encoders where nothing says how much memory there is: 1 GiB. */
const ASSUMED_ROOM = 2 ** 30;

/** An encoder that is in use. */
interface Reader {
  readonly part: TextPart;
  readonly graphs: EncoderGraphs;
  readonly cache: EmbeddingCache;
  /** Bytes that its sessions take while they are kept. */
  readonly bytes: number;
}

/** What one encoder has to do for some prompts. */
interface Task {
  readonly reader: Reader;
  /** What it reads of each prompt. */
  readonly texts: readonly string[];
  /** The embedding of each text; absent of those that are new. */
  readonly found: Map<string, Embedding | undefined>;
  readonly fresh: readonly string[];
  /** Graphs that run for them. */
  readonly runs: number;
}

/** The prompts of a model on a backend. */
export class ModelPrompts implements PromptEncoder {
  #readers: Promise<readonly Reader[]> | undefined;
  #room = 0;
  /** Ends when no call is at work: they take turns, so that none frees what another one runs. */
  #turn: Promise<unknown> = Promise.resolve();

  /** Opens nothing yet. */
  constructor(
    readonly model: Pick<Model, "id"> & { readonly text: ModelText },
    readonly backend: Backend,
    /** Precision of linear layers that was asked for; absent = as they are stored. */
    readonly weights: WeightPrecision | undefined,
  ) {}

  /**
   * Encodes texts.
   *
   * @throws {AssetError} When an encoder or a tokenizer cannot be opened.
   * @throws {BackendError} When the backend has no memory left.
   */
  encode(
    prompts: readonly PromptText[],
    options: EncodeOptions,
  ): Promise<EncodedPrompts> {
    return this.#inTurn(() => this.#encode(prompts, options));
  }

  /**
   * Says how many bytes a run leaves beside the transformer; `undefined` where nothing is known. Sessions that have no
   * room are freed, and those of later prompts are kept while they have.
   */
  fit(room: number | undefined): Promise<void> {
    this.#room = room ?? ASSUMED_ROOM;
    return this.#inTurn(async () => {
      const readers = await this.#readers ?? [];
      for (const { graphs } of readers.filter((one) => !this.#keeps(one, readers))) {
        await graphs.dispose();
      }
    });
  }

  /** Frees all sessions. */
  dispose(): Promise<void> {
    return this.#inTurn(async () => {
      for (const { graphs } of await this.#readers ?? []) await graphs.dispose();
    });
  }

  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task);
    this.#turn = turn.catch(() => {}); // told to its own caller
    return await turn;
  }

  async #encode(
    prompts: readonly PromptText[],
    { signal, onPreparing }: EncodeOptions,
  ): Promise<EncodedPrompts> {
    signal?.throwIfAborted(); // while it waited
    const readers = await this.#open();
    const tasks = readers.map((reader) => taskOf(reader, prompts));
    const total = tasks.reduce((sum, { runs }) => sum + runs, 0);
    let done = 0;
    const onRun = (): void => onPreparing?.({ what: "prompts", done: ++done, total });
    const read: (readonly Embedding[])[] = [];
    for (const task of tasks) {
      const sessions = this.#keeps(task.reader, readers) ? "kept" : "freed";
      read.push(await readTexts(task, { sessions, onRun, signal }));
    }
    const rows = prompts.map((_, i) =>
      this.model.text.conditions(read.map((one) => one[i]!.encoded)) // one for each text
    );
    return {
      conditions: joined(rows),
      tokens: prompts.map((_, i) =>
        readers.map(({ part: { title, prompts: { length } } }, reader) => ({
          encoder: title,
          tokens: read[reader]![i]!.tokens,
          limit: length,
        }))
      ),
    };
  }

  /** The smaller ones first, as far as there is room. */
  #keeps({ bytes }: Reader, readers: readonly Reader[]): boolean {
    const smaller = readers.filter((other) => other.bytes <= bytes);
    return smaller.reduce((sum, other) => sum + other.bytes, 0) <= this.#room;
  }

  #open(): Promise<readonly Reader[]> {
    this.#readers ??= this.#openAll().catch((error) => {
      this.#readers = undefined; // the next prompt tries again
      throw error;
    });
    return this.#readers;
  }

  async #openAll(): Promise<readonly Reader[]> {
    const readers: Reader[] = [];
    for (const part of await this.model.text.open()) {
      const subject = { id: `${part.folder} of ${this.model.id}`, weights: part.weights };
      const precision = choosePrecision(subject, {
        wanted: this.weights,
        backend: this.backend.name,
      });
      const rounded = await roundLayers(subject, this.backend, precision);
      const lowering = rounded && roundedLowering(rounded.options);
      const { weights } = encoderNeeds(part, lowering);
      readers.push({
        part,
        graphs: new EncoderGraphs(this.backend, part, rounded),
        cache: new EmbeddingCache(CACHE_BYTES),
        bytes: WEIGHT_COPIES[this.backend.name] * weights,
      });
    }
    return readers;
  }
}

function taskOf(reader: Reader, prompts: readonly PromptText[]): Task {
  const { part: { reads, outputs }, graphs, cache } = reader;
  const texts = prompts.map(({ prompt, prompt2 = prompt }) =>
    reads === "prompt2" ? prompt2 : prompt
  );
  const found = new Map(texts.map((text) => [text, cache.get(text)]));
  const fresh = [...found.keys()].filter((text) => found.get(text) === undefined);
  return { reader, texts, found, fresh, runs: fresh.length * graphs.graphsFor(outputs) };
}

/** Conditions of one row each as rows of one. */
function joined(rows: readonly Conditions[]): Conditions {
  const names = Object.keys(rows[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, joinRows(rows.map((row) => row[name]!))]));
}

/** The embedding of each text; those that are new are encoded together. */
async function readTexts(
  { reader: { part, graphs, cache }, texts, found, fresh }: Task,
  options: Pick<GraphOptions, "sessions" | "onRun" | "signal">,
): Promise<readonly Embedding[]> {
  if (fresh.length > 0) {
    const tokenized = fresh.map((text) => part.prompts.tokenize(text));
    const encoded = await graphs.encode(
      tokenized.map(({ ids, mask }) => part.pads === "hidden" ? { ids, mask } : { ids }),
      { outputs: part.outputs, ...options },
    );
    for (const [i, text] of fresh.entries()) {
      const embedding = { encoded: encoded[i]!, tokens: tokenized[i]!.tokens }; // one for each
      found.set(text, embedding);
      cache.set(text, embedding);
    }
  }
  return texts.map((text) => found.get(text)!); // all are there by now
}
