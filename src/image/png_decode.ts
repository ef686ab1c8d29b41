/**
 * The pixels of PNG files: every colour type, depth and interlacing of the specification, inflated row by row by the
 * platform's own zlib stream, so that a file which would inflate to more than its header says takes no memory.
 *
 * *Source:* PNG Specification, Third Edition (W3C, 2025); section numbers are its own.
 */

import type { Picture } from "./picture.ts";
import { type Chunk, readChunks, unreadable } from "./png_chunk.ts";
import { predict } from "./png_filter.ts";
import { COLOURS, type PngHeader, readHeader } from "./png_header.ts";
import { painterOf } from "./png_painter.ts";

/** Adam7: first column and row of each pass, and the steps between its pixels, §8.1. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/**
 * Decodes a PNG to 8 bits: grey, RGB, or RGBA where it has transparency. Of an animated one the first picture.
 *
 * @throws {AssetError} When the bytes are not an intact PNG.
 */
export async function decodePng(bytes: Uint8Array<ArrayBuffer>): Promise<Picture> {
  const chunks = [...readChunks(bytes)];
  const header = readHeader(chunks[0]!.body); // IHDR is first
  const painter = painterOf(header, chunks);
  const { width, height } = header;
  const pixels = new Uint8Array(width * height * painter.channels);
  const rows = rowsOf(header);
  let row = rows.next().value;
  let [filled, above] = [0, new Uint8Array(0)];
  let line = new Uint8Array(row === undefined ? 0 : row.bytes + 1);
  for await (const part of inflated(chunks)) {
    for (let used = 0; used < part.length;) {
      if (row === undefined) throw unreadable("pixels", `those of ${width} × ${height}`, "more");
      const take = Math.min(line.length - filled, part.length - used);
      line.set(part.subarray(used, used + take), filled);
      used += take;
      filled += take;
      if (filled < line.length) continue;
      const raw = unfilter(line, row.first ? new Uint8Array(row.bytes) : above, header);
      const at = (row.y * width + row.x) * painter.channels;
      const step = row.stride * painter.channels;
      painter.paintRow(raw, { pixels, at, step, count: row.count });
      [above, row, filled] = [raw, rows.next().value, 0];
      line = new Uint8Array(row === undefined ? 0 : row.bytes + 1);
    }
  }
  if (row !== undefined) throw unreadable("pixels", `those of ${width} × ${height}`, "fewer");
  return { width, height, channels: painter.channels, pixels };
}

/** A row of stored pixels, and where they belong. */
interface StoredRow {
  /** Column of the first and y of all. */
  readonly x: number;
  readonly y: number;
  readonly stride: number;
  readonly count: number;
  readonly bytes: number;
  /** Whether nothing of its pass is above it. */
  readonly first: boolean;
}

/** Every row in the order of the file; passes without pixels have none. */
function* rowsOf(
  { width, height, depth, colour, interlaced }: PngHeader,
): Generator<StoredRow, undefined> {
  for (const [x, top, stride, down] of interlaced ? PASSES : [[0, 0, 1, 1] as const]) {
    const count = Math.ceil((width - x) / stride);
    if (count < 1) continue;
    const bytes = Math.ceil(count * COLOURS[colour].samples * depth / 8);
    for (let y = top; y < height; y += down) {
      yield { x, y, stride, count, bytes, first: y === top };
    }
  }
  return undefined;
}

/** The pixel data, in parts of the platform's choice. */
async function* inflated(chunks: readonly Chunk[]): AsyncGenerator<Uint8Array> {
  const stored = chunks.filter(({ type }) => type === "IDAT")
    .map(({ body }) => new Uint8Array(body));
  const zlib = new Blob(stored).stream().pipeThrough(new DecompressionStream("deflate"));
  const reader = zlib.getReader(); // not every browser iterates over streams
  try {
    for (let next = await read(reader); !next.done; next = await read(reader)) yield next.value;
  } finally {
    await reader.cancel().catch(() => {}); // it may have failed
  }
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch (cause) {
    throw unreadable("pixels", "intact zlib data", "none", { cause });
  }
}

/** Undoes a row's filter, §9.2; the first byte of the line names it. */
function unfilter(
  line: Uint8Array,
  above: Uint8Array,
  { depth, colour }: PngHeader,
): Uint8Array<ArrayBuffer> {
  const filter = line[0]!; // a line has a byte more than its row
  if (filter > 4) throw unreadable("filter", "0 … 4", filter);
  const step = Math.max(1, COLOURS[colour].samples * depth / 8);
  const row = new Uint8Array(line.length - 1);
  for (let i = 0; i < row.length; i++) {
    const left = i < step ? 0 : row[i - step]!;
    const corner = i < step ? 0 : above[i - step]!;
    row[i] = line[i + 1]! + predict(filter, left, above[i]!, corner); // kept modulo 256 by the array
  }
  return row;
}
