/**
 * A lock file with a heartbeat, among processes that share a folder. It saves them work, and is no proof
 * that no other process is downloading: see `disk_store.ts`.
 */

import { isErrorKind, isMissing } from "../read_errors.ts";

/** Milliseconds between two signs of life. */
const BEAT_MS = 2_000;
/** Milliseconds without one after which an owner counts as dead. */
export const STALE_MS = 15_000;

/**
 * Takes the lock; `undefined` while another has it. A dead owner's lock is removed, for the next try.
 *
 * @returns What gives it back.
 */
export async function lockFile(path: string): Promise<(() => Promise<void>) | undefined> {
  const { open, rm } = await import("node:fs/promises");
  const ours = crypto.randomUUID();
  try {
    const file = await open(path, "wx");
    try {
      await file.writeFile(ours);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (!isErrorKind(cause, "EEXIST", "AlreadyExists")) throw cause;
    if (await ageOf(path) > STALE_MS) await rm(path, { force: true });
    return undefined;
  }
  const stop = heartbeat(path);
  return async () => {
    await stop();
    await removeOwn(path, ours);
  };
}

/** Milliseconds since a file was last written or touched; 0 when it is not there. */
export async function ageOf(path: string): Promise<number> {
  const { stat } = await import("node:fs/promises");
  try {
    return Date.now() - (await stat(path)).mtimeMs;
  } catch (cause) {
    if (isMissing(cause)) return 0;
    throw cause;
  }
}

/** Touches a file again and again, until what it returns is called. */
export function heartbeat(path: string): () => Promise<void> {
  let beat: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    beat = import("node:fs/promises")
      .then(({ utimes }) => utimes(path, new Date(), new Date()))
      .catch(() => undefined); // taken by another: its owner will notice
  }, BEAT_MS);
  return async () => {
    clearInterval(timer);
    await beat;
  };
}

/** A lock that another process has taken over is left alone. */
async function removeOwn(path: string, ours: string): Promise<void> {
  const { readFile, rm } = await import("node:fs/promises");
  const there = await readFile(path, "utf8").catch(() => "");
  if (there === ours) await rm(path, { force: true }).catch(() => undefined); // it goes stale
}
