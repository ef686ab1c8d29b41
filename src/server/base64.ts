/**
 * Bytes as JSON carries them.
 */

/** Bytes in base64; `btoa` takes text, and text of limited length at once. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}
