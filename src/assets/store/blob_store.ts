/**
 * Where downloads are kept: whole blobs by their hash, partial ones until they are whole, short texts.
 */

import type { RetryOptions } from "./retry.ts";
import type { ByteRange } from "../source.ts";

/** A store of blobs; one conformance suite runs against every implementation. */
export interface BlobStore {
  /** For messages: the folder, or `memory`. */
  readonly name: string;
  /**
   * Size of a whole blob in bytes; `undefined` when it is not there.
   *
   * @throws {AssetError} When it cannot be told.
   */
  size(key: string): Promise<number | undefined>;
  /**
   * A range of a whole blob.
   *
   * @throws {AssetError} When it is not there, or the bytes are not.
   */
  read(key: string, range: ByteRange): Promise<Uint8Array>;
  /**
   * Begins or takes up a blob, alone among all who share the store; `undefined` when somebody else
   * has finished it by then.
   *
   * @throws {AssetError} When the store cannot be written to; the signal's reason when it is aborted.
   */
  begin(key: string, options: BeginOptions): Promise<PartialBlob | undefined>;
  /**
   * A short text by its path; `undefined` when there is none.
   *
   * @throws {AssetError} When it is there and cannot be read.
   */
  readText(path: string): Promise<string | undefined>;
  /**
   * Keeps a short text, whole or not at all.
   *
   * @throws {AssetError} When the store cannot be written to.
   */
  writeText(path: string, text: string): Promise<void>;
  /** Closes what reading opened. */
  close(): Promise<void>;
}

/** How a blob is begun. */
export interface BeginOptions extends Pick<RetryOptions, "clock" | "signal"> {
  /** Its size in bytes; whole ones of another size do not count. */
  readonly size: number;
  /** Called once, when another process is downloading it. */
  readonly onWait?: () => void;
}

/** A blob on its way. Nobody reads it under its key before `commit()`; ended by exactly one of three. */
export interface PartialBlob {
  /** Bytes that are there. */
  readonly length: number;
  /** Bytes that are there, from the first: to hash them again. */
  content(signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Adds bytes at the end.
   *
   * @throws {TakenError} When another process took it over.
   * @throws {AssetError} When there is no room.
   */
  append(bytes: Uint8Array): Promise<void>;
  restart(): Promise<void>;
  /** It is whole and right: from now on it is there under its key. */
  commit(): Promise<void>;
  /** Keeps it, to be continued later. */
  release(): Promise<void>;
  /** It was wrong: nothing stays of it. */
  discard(): Promise<void>;
}

/** Another process took a partial blob over, for this one seemed dead: a suspended machine woke up. */
export class TakenError extends Error {
  override readonly name = "TakenError";
}
