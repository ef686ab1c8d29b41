/**
 * Answers with a file: what the client lacks of it, compressed, a range, or all.
 *
 * *Source:* RFC 9110, sections 12.5.3 (Accept-Encoding), 13 (conditions) and 14 (ranges).
 */

import type { Context } from "npm:hono@4.13.19";
import { shrinks } from "./gzip_store.ts";
import type { PageAsset } from "./page_assets.ts";
import { RequestError } from "./request_error.ts";

/** What goes with a file. */
export interface SendOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Gives the file in gzip; without it the file is never compressed. */
  readonly zip?: () => Promise<Uint8Array<ArrayBuffer>>;
}

/** First byte of a range, and the first after it. */
interface ByteSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * Sends a file. Who asks for a range gets it of the file as it is; who takes gzip gets in gzip what shrinks.
 *
 * @throws {RequestError} 416 for a range beyond the end.
 */
export async function sendFile(
  context: Context,
  asset: PageAsset,
  { headers: given, zip }: SendOptions,
): Promise<Response> {
  const { req } = context;
  const { body, size, type, etag, slice } = asset;
  const span = req.method === "GET" ? spanOf(context, asset) : undefined;
  const mayZip = zip !== undefined && shrinks(asset);
  const zips = mayZip && span === undefined && takesGzip(req.header("accept-encoding"));
  const headers = {
    ...given,
    "content-type": type,
    etag: zips ? zippedTag(etag) : etag,
    ...(mayZip && { vary: "Accept-Encoding" }),
    ...(slice !== undefined && { "accept-ranges": "bytes" }),
  };
  if (matches(req.header("if-none-match"), etag)) {
    await leave(body);
    return context.body(null, 304, headers);
  }
  const sized = { ...headers, "x-file-size": `${size}` };
  if (zips) {
    const bytes = await zip();
    const zipped = { ...sized, "content-encoding": "gzip", "content-length": `${bytes.length}` };
    return req.method === "HEAD"
      ? context.body(null, 200, zipped)
      : context.body(bytes, 200, zipped);
  }
  if (span !== undefined) {
    await leave(body);
    const { from, to } = span;
    return context.body(await slice!(from, to), 206, { // a span is of what has slices
      ...sized,
      "content-range": `bytes ${from}-${to - 1}/${size}`,
      "content-length": `${to - from}`,
    });
  }
  const whole = { ...sized, "content-length": `${size}` }; // clients cannot show progress without
  if (req.method !== "HEAD") return context.body(body, 200, whole);
  await leave(body);
  return context.body(null, 200, whole);
}

/** A stream that nobody will read. */
async function leave(body: PageAsset["body"]): Promise<void> {
  if (body instanceof ReadableStream) await body.cancel();
}

/** The one range of a request; of several, of other units and of another version the whole file is sent. */
function spanOf({ req }: Context, { size, slice, etag }: PageAsset): ByteSpan | undefined {
  const condition = req.header("if-range");
  if (slice === undefined || (condition !== undefined && condition !== etag)) return undefined;
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(
    req.header("range") ?? "",
  ) ?? [];
  if (first === "" && last === "") return undefined;
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined; // no range at all
  const from = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (from < to) return { from, to };
  throw new RequestError(`Cannot send bytes ${first}-${last}: the file has ${size}`, {
    status: 416,
    code: "range_not_satisfiable",
    headers: { "content-range": `bytes */${size}` },
  });
}

/** Whether a client takes gzip: named, or by `*`, and not with a weight of 0. */
function takesGzip(header: string | undefined): boolean {
  const weights = new Map(
    (header ?? "").toLowerCase().split(",").map((each): [string, number] => {
      const [name = "", ...parameters] = each.split(";").map((part) => part.trim());
      const weight = parameters.find((part) => part.startsWith("q="))?.slice("q=".length);
      return [name, Number(weight ?? 1)];
    }),
  );
  return (weights.get("gzip") ?? weights.get("*") ?? 0) > 0;
}

/** Equal for equal bytes, so another one than of the file as it is. */
function zippedTag(etag: string): string {
  return `${etag.slice(0, -1)}-gz"`;
}

/** *Source:* RFC 9110, 13.1.2: a weak comparison; a compressing proxy weakens what we sent. */
function matches(header: string | undefined, etag: string): boolean {
  const known = [etag, zippedTag(etag)];
  const given = header?.split(",").map((each) => each.trim().replace(/^W\//, "")) ?? [];
  return given.some((each) => known.includes(each));
}
