/**
 * The keys that clients must show, as files and environments write them.
 */

import { AssetError } from "../errors.ts";

/** *Source:* RFC 6750, "b64token": what a bearer header can carry. */
const KEY = /^[A-Za-z0-9._~+/-]{16,512}=*$/;
/** A key's digest in its place, so that the key itself is written down nowhere: `printf KEY | sha256sum`. */
export const HASHED_KEY = /^sha256:([0-9a-f]{64})$/;

/**
 * Keys separated by commas; none where there is no text.
 *
 * @param source Where they come from, for the message.
 * @throws {AssetError} When a key is not one; it is not shown.
 */
export function parseKeys(text: string | undefined, source: string): readonly string[] {
  const keys = text?.split(",").map((key) => key.trim()).filter((key) => key !== "") ?? [];
  return checkKeys(keys, source);
}

/**
 * The same keys.
 *
 * @throws {AssetError} When a key is not one; it is not shown.
 */
export function checkKeys(keys: readonly string[], source: string): readonly string[] {
  if (keys.every((key) => KEY.test(key) || HASHED_KEY.test(key))) return keys;
  throw new AssetError(
    `Cannot read keys: ${source} must hold keys of 16 to 512 letters, digits and . _ ~ + / - ` +
      "or sha256: and a key's digest (one is neither)",
  );
}
