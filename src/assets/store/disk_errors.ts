/**
 * What a disk refuses, in words that say what to do.
 */

import { AssetError } from "../../errors.ts";
import { isErrorKind } from "../read_errors.ts";

/**
 * Throws the `AssetError` of a failed write; what is one already is thrown on.
 *
 * @throws {AssetError} Always.
 */
export function unwritable(path: string, cause: unknown): never {
  if (cause instanceof AssetError) throw cause;
  throw new AssetError(`Cannot write ${path}: ${wanted(cause)}`, { cause });
}

function wanted(cause: unknown): string {
  if (isErrorKind(cause, "NotCapable", "ERR_ACCESS_DENIED")) {
    return "the process must have permission to write it (Deno: --allow-write), or all files must " +
      "have been fetched before";
  }
  if (isErrorKind(cause, "ENOSPC", "EDQUOT", "QuotaExceeded")) {
    return "the disk must have room (INVARDIFF_CACHE chooses another folder); what was downloaded is kept";
  }
  if (isErrorKind(cause, "EACCES", "EPERM", "EROFS", "PermissionDenied", "ReadOnlyFilesystem")) {
    return "its folder must be writable (INVARDIFF_CACHE chooses another)";
  }
  return cause instanceof Error ? cause.message.split("\n", 1)[0]! : String(cause);
}
