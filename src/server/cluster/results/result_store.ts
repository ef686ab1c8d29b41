/**
 * Where pictures and latents lie until they expire: in the queue's own store unless told otherwise, in a folder that
 * all processes see, or in a bucket. Jobs carry keys only, and what a key leads to is answered as long as its job, or
 * the name of its picture, is in the queue's store: that store's clock alone says when something has expired.
 */

/** Bytes by keys such as `task:ID:picture:OWNER:0`. */
export interface ResultStore {
  /** Keeps bytes; whoever asks gets all of them or nothing. */
  keep(key: string, bytes: Uint8Array): Promise<void>;
  /** What was kept under a key; `undefined` where there is nothing. */
  kept(key: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Removes what was kept and is nobody's. */
  drop(keys: readonly string[]): Promise<void>;
}

/** One whose results are there until somebody removes them. */
export interface LastingResults extends ResultStore {
  /** Removes what is older than so many milliseconds, where nothing else does. */
  sweep(milliseconds: number): Promise<void>;
}

/** A name that means the same in folders, URLs and signatures: `=` and two digits for bytes of other letters. */
export function plainName(text: string): string {
  return encodeURIComponent(text).replaceAll("%", "=").replaceAll(
    /[^\w=-]/g,
    (letter) => `=${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
