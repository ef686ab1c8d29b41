/**
 * The keys that clients of the server must show.
 */

import process from "node:process";
import { AssetError } from "../errors.ts";
import { checkKeys, parseKeys } from "../server/key_list.ts";
import { readText } from "./files.ts";

const LARGEST_FILE = 1 << 20; // 1 MiB

/**
 * Keys of a file, one a line (empty lines and those that begin with # do not count), and of
 * `INVARDIFF_API_KEYS`, separated by commas.
 *
 * @throws {AssetError} When the file cannot be read or a key is not one; it is not shown.
 */
export async function readKeys(path: string | undefined): Promise<readonly string[]> {
  const lines = path === undefined ? [] : (await readText(path, LARGEST_FILE)).split(/\r?\n/);
  const keys = lines.map((line) => line.trim()).filter((line) => line !== "" && line[0] !== "#");
  if (path !== undefined && keys.length === 0) {
    throw new AssetError(`Cannot read keys: ${path} must hold at least one key`);
  }
  const others = parseKeys(process.env["INVARDIFF_API_KEYS"], "INVARDIFF_API_KEYS");
  return [...checkKeys(keys, `${path}`), ...others];
}
