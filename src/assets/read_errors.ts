/**
 * What cannot be read, in words that say what to do.
 */

import { AssetError } from "../errors.ts";

/** Throws an `AssetError`: `Cannot read <thing>: <why>`. */
export function fail(thing: string, why: string, cause?: unknown): never {
  throw new AssetError(`Cannot read ${thing}: ${why}`, { cause });
}

/** Node's and Bun's errors have a code, Deno's have a name; neither is a class we could name here. */
export function isErrorKind(error: unknown, ...kinds: readonly string[]): boolean {
  if (typeof error !== "object" || error === null) return false;
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown }; // see above
  return kinds.some((kind) => kind === code || kind === name);
}

/** Whether an error of a file system says that nothing is there. */
export function isMissing(error: unknown): boolean {
  return isErrorKind(error, "ENOENT", "ENOTDIR", "NotFound");
}

/** Throws the `AssetError` of a failed read; what is one already is thrown on. */
export function unreadable(thing: string, cause: unknown): never {
  if (cause instanceof AssetError) throw cause;
  if (isMissing(cause)) fail(thing, "it must exist", cause);
  if (isErrorKind(cause, "NotCapable", "ERR_ACCESS_DENIED")) {
    fail(thing, "the process must have permission to read it (Deno: --allow-read)", cause);
  }
  if (isErrorKind(cause, "EACCES", "EPERM", "PermissionDenied")) {
    fail(thing, "its file permissions must allow reading it", cause);
  }
  fail(thing, cause instanceof Error ? cause.message.split("\n", 1)[0]! : String(cause), cause);
}
