/**
 * The keys that clients of the server must show.
 *
 * @module
 */

import process from "node:process";
import { AssetError } from "../errors.ts";
import { readText } from "./files.ts";

const LARGEST_FILE = 1 << 20; // 1 MiB
/** *Source:* RFC 6750, "b64token": what a bearer header can carry. */
const KEY = /^[A-Za-z0-9._~+/-]{16,512}=*$/;

/**
 * Keys of a file, one a line (empty lines and those that begin with # do not count), and of
 * `INVARDIFF_API_KEYS`, separated by commas.
 *
 * @throws {AssetError} When the file cannot be read or a key is not one; it is not shown.
 */
export async function readKeys(path: string | undefined): Promise<readonly string[]> {
  const lines = path === undefined ? [] : (await readText(path, LARGEST_FILE)).split(/\r?\n/);
  const keys = lines.map((line) => line.trim()).filter((line) => line !== "" && line[0] !== "#");
  const others = process.env["INVARDIFF_API_KEYS"]?.split(",").map((key) => key.trim()) ?? [];
  if (path !== undefined && keys.length === 0) refuse(path, "hold at least one key");
  const all = [...keys, ...others.filter((key) => key !== "")];
  const wrong = all.findIndex((key) => !KEY.test(key));
  if (wrong >= 0) {
    const source = wrong < keys.length ? `${path}` : "INVARDIFF_API_KEYS";
    refuse(source, "hold keys of 16 to 512 letters, digits and . _ ~ + / - (one is none)");
  }
  return all;
}

function refuse(source: string, wanted: string): never {
  throw new AssetError(`Cannot read keys: ${source} must ${wanted}`);
}
