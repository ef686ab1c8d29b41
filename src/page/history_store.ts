/**
 * The history: pictures that were drawn, in the browser's IndexedDB. Where the browser refuses it or has no
 * room, they are kept as long as the tab, and the page says so.
 */

import { decodePicture } from "./canvas.ts";
import type { Outcome } from "./outcome.ts";
import type { RunResult } from "./run.ts";

/** A run whose pixels are in its file alone. */
export type KeptRun = Omit<RunResult, "pixels">;

/** A picture of the history. */
export interface Entry extends Omit<Outcome, "result" | "full"> {
  /** When it was drawn, in Unix milliseconds. */
  readonly made: number;
  readonly result: KeptRun;
  readonly full?: KeptRun | undefined;
}

/** A picture as it is kept. */
export function entryOf({ result, full, ...rest }: Outcome): Entry {
  const kept = ({ pixels: _, ...run }: RunResult): KeptRun => run;
  return { ...rest, made: Date.now(), result: kept(result), full: full && kept(full) };
}

/** A kept picture as it was. */
export async function outcomeOf({ result, full, ...rest }: Entry): Promise<Outcome> {
  const open = async (run: KeptRun): Promise<RunResult> => {
    return { ...run, pixels: await decodePicture(run.png) };
  };
  return { ...rest, result: await open(result), full: full && await open(full) };
}

const DATABASE = "invardiff-history";
const VERSION = 1;
const STORE = "pictures";

/** All pictures by their links: the same picture drawn again takes the place of the first. */
export class HistoryStore {
  readonly #entries = new Map<string, Entry>();
  /** Links of pictures that end with the tab. */
  readonly #loose = new Set<string>();

  private constructor(readonly database: IDBDatabase | undefined, kept: readonly Entry[]) {
    for (const entry of kept) this.#entries.set(entry.link, entry);
  }

  /** Opens what earlier visits kept; never rejects. */
  static async open(): Promise<HistoryStore> {
    try {
      const database = await openDatabase();
      return new HistoryStore(database, await readAll(database));
    } catch {
      return new HistoryStore(undefined, []); // refused: private windows and policies do
    }
  }

  /** Newest first. */
  get entries(): readonly Entry[] {
    return [...this.#entries.values()].sort((a, b) => b.made - a.made);
  }

  /** The picture of a link. */
  get(link: string): Entry | undefined {
    return this.#entries.get(link);
  }

  /** What is not kept, in words; `undefined` where all of it is. */
  get notice(): string | undefined {
    if (this.#loose.size === 0) return undefined;
    return this.database === undefined
      ? "This browser keeps no history: these pictures end with the tab. Download those that you want."
      : `The browser has no room left: the last ${this.#loose.size} of these pictures ` +
        "end with the tab. Download them, or delete others.";
  }

  /** Adds a picture, or puts it in the place of the same. */
  async put(entry: Entry): Promise<void> {
    this.#entries.set(entry.link, entry);
    const isKept = await this.#change((store) => store.put(entry));
    if (isKept) this.#loose.delete(entry.link);
    else this.#loose.add(entry.link);
  }

  /** Deletes pictures; those that had found no room are kept then. */
  async delete(links: readonly string[]): Promise<void> {
    for (const link of links) {
      this.#entries.delete(link);
      this.#loose.delete(link);
    }
    await this.#change((store) => {
      for (const link of links) store.delete(link);
    });
    for (const link of [...this.#loose]) await this.put(this.#entries.get(link)!); // loose ones are among them
  }

  /** Changes the database; whether it took it. */
  async #change(change: (store: IDBObjectStore) => void): Promise<boolean> {
    if (this.database === undefined) return false;
    try {
      const transaction = this.database.transaction(STORE, "readwrite");
      const ended = endOf(transaction);
      change(transaction.objectStore(STORE));
      await ended;
      return true;
    } catch {
      return false; // full, or closed by the browser, whose reasons have many names
    }
  }
}

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, VERSION);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "link" });
    opening.onsuccess = () => {
      const { result } = opening;
      result.onversionchange = () => result.close(); // a later page, or who deletes it, must not wait
      resolve(result);
    };
    opening.onerror = () => reject(opening.error);
  });
}

function readAll(database: IDBDatabase): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const reading = database.transaction(STORE).objectStore(STORE).getAll();
    reading.onsuccess = () => resolve(reading.result); // as put() wrote them
    reading.onerror = () => reject(reading.error);
  });
}

function endOf(transaction: IDBTransaction): Promise<void> {
  const ended = new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  ended.catch(() => undefined); // a change that throws is told before
  return ended;
}
