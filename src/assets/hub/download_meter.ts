/**
 * How fast a download is, and how long it will take.
 */

/** A download as it is shown. */
export interface DownloadProgress {
  /** Always `"progress"`. */
  readonly kind: "progress";
  /** The file's path in its repository. */
  readonly path: string;
  /** Bytes that are there. */
  readonly done: number;
  /** Bytes of the whole file. */
  readonly total: number;
  /** Bytes per second, over the last seconds; 0 until it can be told. */
  readonly rate: number;
  /** Seconds until the file is whole at that rate; `undefined` until it can be told. */
  readonly seconds: number | undefined;
}

/** What is heard of downloads. */
export type DownloadEvent = DownloadProgress | {
  /** Something that a person may want to know, in `text`: a retry, a wait, an answer from the cache. */
  readonly kind: "notice";
  /** The file or repository it is about. */
  readonly path: string;
  /** A sentence without its full stop. */
  readonly text: string;
};

/** Milliseconds that the rate looks back. */
const WINDOW_MS = 5_000;
/** Milliseconds between two samples: a window holds few. */
const SAMPLE_MS = 250;

/** Makes progress of byte counts. */
export class DownloadMeter {
  readonly #samples: { readonly at: number; readonly done: number }[] = [];

  /** Begins to count; `now` is a clock in milliseconds. */
  constructor(
    readonly file: { readonly path: string; readonly total: number },
    readonly now: () => number,
  ) {}

  /** So many bytes are there now. Fewer than before is a new beginning. */
  at(done: number): DownloadProgress {
    const samples = this.#samples;
    const at = this.now();
    if (done < (samples.at(-1)?.done ?? 0)) samples.length = 0;
    const oldest = samples.find((sample) => at - sample.at <= WINDOW_MS) ?? samples.at(-1);
    const elapsed = oldest === undefined ? 0 : at - oldest.at;
    const rate = elapsed > 0 ? (done - oldest!.done) / elapsed * 1000 : 0; // there is one
    if (samples.length === 0 || at - samples.at(-1)!.at >= SAMPLE_MS) samples.push({ at, done });
    while (samples.length > 2 && at - samples[0]!.at > WINDOW_MS) samples.shift(); // it has some
    const { path, total } = this.file;
    const seconds = rate > 0 ? (total - done) / rate : undefined;
    return { kind: "progress", path, done, total, rate, seconds };
  }
}
