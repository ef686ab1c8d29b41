/**
 * Reading a request's body within bounds: so many bytes, so many seconds, or it is refused.
 *
 * Hono's `bodyLimit` bounds bytes alone; a client that sends one byte a minute would be waited for.
 */

import { joinBytes } from "../tensor/bytes.ts";
import { RequestError } from "./request_error.ts";

/** Bounds of a body. */
export interface BodyBounds {
  /** Most bytes. */
  readonly bytes: number;
  /** Longest wait until the whole body is there. */
  readonly seconds: number;
}

/**
 * Reads a JSON body.
 *
 * @throws {RequestError} 413 when it is too large, 408 when it does not arrive in time or breaks off, 400
 * when it is not JSON in UTF-8, 415 when it says to be something else or is compressed.
 */
export async function readJsonBody(request: Request, bounds: BodyBounds): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "application/json";
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) {
    throw new RequestError(
      `Cannot read body: content-type must be application/json: current value is ${type}`,
      { status: 415, code: "unsupported_media_type" },
    );
  }
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    throw new RequestError(
      `Cannot read body: it must not be compressed: current content-encoding is ${encoding}`,
      { status: 415, code: "unsupported_encoding", headers: { "accept-encoding": "identity" } },
    );
  }
  const bytes = await readBounded(request, bounds);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new RequestError("Cannot read body: it must be JSON in UTF-8", { code: "invalid_json" });
  }
}

/**
 * Reads a body.
 *
 * @throws {RequestError} 413 and 408, as {@linkcode readJsonBody}.
 */
export async function readBounded(
  request: Request,
  { bytes, seconds }: BodyBounds,
): Promise<Uint8Array<ArrayBuffer>> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > bytes) throw tooLarge(bytes, declared);
  const reader = request.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  let late: RequestError | undefined;
  const timer = setTimeout(() => {
    late = tooLate(`within ${seconds} s`);
    reader.cancel(late).catch(() => {}); // ends the pending read
  }, seconds * 1000);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.length;
      if (size > bytes) throw tooLarge(bytes, size);
      chunks.push(next.value);
    }
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error instanceof RequestError ? error : late ?? tooLate("whole");
  } finally {
    clearTimeout(timer);
  }
  if (late !== undefined) throw late;
  return joinBytes(chunks);
}

function tooLarge(most: number, size: number): RequestError {
  return new RequestError(
    `Cannot read body: it must have at most ${most} bytes: current value is ${size} or more`,
    { status: 413, code: "body_too_large" },
  );
}

function tooLate(how: string): RequestError {
  return new RequestError(`Cannot read body: it must arrive ${how}`, {
    status: 408,
    code: "body_timeout",
    headers: { connection: "close" },
  });
}
