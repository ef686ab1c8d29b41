/**
 * Answers with a picture that was made, to pages of any origin: its URL is what lets them have it.
 */

import type { Context } from "npm:hono@4.13.19";
import { sendFile } from "./send_file.ts";

/** A picture, and for how long its URL leads to it. */
export interface SentPicture {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** Its name: another picture never has it. */
  readonly name: string;
  readonly seconds: number;
}

/** What pages of others may do with it: show it, and read its pixels; it may do nothing itself. */
const HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
  "cross-origin-resource-policy": "cross-origin",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox", // how browsers centre it
};

/** Sends it, or a range of it. */
export async function sendPicture(
  context: Context,
  { bytes: body, type, name, seconds }: SentPicture,
): Promise<Response> {
  const slice = (from: number, to: number): Uint8Array<ArrayBuffer> => body.subarray(from, to);
  const picture = { body, size: body.length, type, etag: `"${name}"`, slice };
  const headers = { ...HEADERS, "cache-control": `private, max-age=${seconds}` };
  return await sendFile(context, picture, { headers });
}
