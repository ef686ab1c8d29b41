/**
 * Large files for the engine in the browser: fetched with progress, kept for the next visit.
 */

/** The part of the Cache API that is used. */
export interface FileStore {
  match(url: string): Promise<Response | undefined>;
  /** Keeps a file; rejects when there is no room. */
  put(url: string, response: Response): Promise<void>;
}

/** How files are fetched. */
export interface DownloadAllOptions {
  /** Where they are kept; `undefined` where the browser keeps nothing. */
  readonly store: FileStore | undefined;
  /** Called with the bytes of all files together. */
  readonly onProgress: (done: number, total: number) => void;
  readonly signal: AbortSignal;
  readonly send?: typeof fetch;
}

/** Files that were fetched. */
export interface Downloaded {
  /** Their bytes, in the order of the URLs. */
  readonly files: readonly Uint8Array<ArrayBuffer>[];
  /** Whether all of them are kept for the next visit. */
  readonly kept: boolean;
}

/** Header with a file's size: `content-length` is that of what is sent, which may be compressed. */
const SIZE = "x-file-size";

/**
 * Fetches files side by side. What does not fit into the store stays in memory.
 *
 * @throws {TypeError} When one cannot be had; the signal's reason when it is aborted.
 */
export async function downloadAll(
  urls: readonly string[],
  { store, onProgress, signal, send = (...to) => fetch(...to) }: DownloadAllOptions,
): Promise<Downloaded> {
  const progress = { done: 0, total: 0 };
  const responses = await Promise.all(urls.map((url) => open(url, { store, signal, send })));
  progress.total = responses.reduce((sum, { response }) => sum + sizeOf(response), 0);
  const results = await Promise.all(responses.map(async ({ url, response, isKept }) => {
    const bytes = await collect(response, (count) => {
      progress.done += count;
      onProgress(progress.done, Math.max(progress.done, progress.total));
    }, signal);
    return { bytes, kept: isKept || await keep(store, url, bytes) };
  }));
  return { files: results.map(({ bytes }) => bytes), kept: results.every(({ kept }) => kept) };
}

interface Opened {
  readonly url: string;
  readonly response: Response;
  readonly isKept: boolean;
}

async function open(
  url: string,
  { store, signal, send }: Required<Pick<DownloadAllOptions, "store" | "signal" | "send">>,
): Promise<Opened> {
  const kept = await store?.match(url).catch(() => undefined); // a store that fails is none
  if (kept !== undefined) return { url, response: kept, isKept: true };
  const response = await send(url, { signal });
  if (response.ok) return { url, response, isKept: false };
  await response.body?.cancel();
  throw new TypeError(
    `Cannot load ${url}: status must be 200: current value is ${response.status}`,
  );
}

async function collect(
  response: Response,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for await (const part of response.body ?? []) {
    signal.throwIfAborted();
    parts.push(part);
    onBytes(part.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Whether the file is kept now: a quota may be too small. */
async function keep(
  store: FileStore | undefined,
  url: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (store === undefined) return false;
  const headers = { [SIZE]: `${bytes.length}` };
  return await store.put(url, new Response(bytes, { headers })).then(() => true, () => false);
}

function sizeOf({ headers }: Response): number {
  return Number(headers.get(SIZE) ?? headers.get("content-length") ?? 0);
}
