/**
 * Files compressed once, when they are first asked for.
 *
 * gzip alone, by the runtime's own stream: every browser takes it from every address, while Brotli is offered to
 * `https:` and to this machine only, and the fifth that it saves more is saved once, for browsers keep the files.
 */

import { joinBytes } from "../tensor/bytes.ts";
import type { PageAsset } from "./page_assets.ts";

/** Types whose files shrink; weights and pictures do not. */
const SHRINKING = /^(?:text\/|application\/(?:json|wasm)\b|image\/svg)/;
/** Smaller ones fit into one packet either way. */
const LEAST_BYTES = 1024;
/** Bytes that are compressed before others' turn: some milliseconds. */
const BLOCK_BYTES = 1 << 16;

/** Whether a file is worth it. */
export function shrinks({ type, size }: PageAsset): boolean {
  return SHRINKING.test(type) && size >= LEAST_BYTES;
}

/** The compressed files of a page. */
export class GzipStore {
  readonly #files = new Map<string, { readonly etag: string; readonly bytes: Promise<Bytes> }>();

  /** A file in gzip. What is asked of it is left unread where that version was compressed before. */
  async read(name: string, { body, etag }: PageAsset): Promise<Bytes> {
    const known = this.#files.get(name);
    if (known?.etag === etag) {
      if (body instanceof ReadableStream) await body.cancel();
      return await known.bytes;
    }
    const bytes = compress(body);
    this.#files.set(name, { etag, bytes });
    bytes.catch(() => this.#files.delete(name)); // the next who asks tries again
    return await bytes;
  }
}

type Bytes = Uint8Array<ArrayBuffer>;

async function compress(body: PageAsset["body"]): Promise<Bytes> {
  const stream = body instanceof ReadableStream ? body : new Blob([body]).stream();
  const packed = stream.pipeThrough(inBlocks()).pipeThrough(new CompressionStream("gzip"));
  const parts: Uint8Array[] = [];
  for await (const part of packed) parts.push(part);
  return joinBytes(parts);
}

/** Compressing is work of this thread: requests are answered between blocks. */
function inBlocks(): TransformStream<Bytes, Bytes> {
  return new TransformStream({
    async transform(bytes, controller): Promise<void> {
      for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
        controller.enqueue(bytes.subarray(at, at + BLOCK_BYTES));
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    },
  });
}
