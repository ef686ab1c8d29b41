/**
 * The header of a safetensors file, checked to the letter.
 *
 * @module
 */

import { z } from "zod";
import { AssetError } from "../errors.ts";
import { elementCount } from "../tensor/tensor.ts";

/** One tensor of a file. */
export interface TensorEntry {
  /** Element type in the format's own words, such as `F16`. */
  readonly dtype: string;
  /** Its shape. */
  readonly dims: readonly number[];
  /** First byte in the file. */
  readonly begin: number;
  /** One past the last byte in the file. */
  readonly end: number;
}

// deno-fmt-ignore
const BYTES: Readonly<Record<string, number>> = {
  F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2,
  I8: 1, U8: 1, BOOL: 1, F8_E4M3: 1, F8_E5M2: 1,
};

const size = z.number().int().nonnegative();
const headerSchema = z.record(
  z.string(),
  z.object({
    dtype: z.enum(Object.keys(BYTES)),
    shape: z.array(size).max(16),
    data_offsets: z.tuple([size, size]),
  }).strict(),
);

/** Where the data of a file lies. */
export interface DataRange {
  /** Name of the file, for messages. */
  readonly path: string;
  /** First byte after the header. */
  readonly dataBegin: number;
  /** Size of the file. */
  readonly dataEnd: number;
}

/**
 * Parses a header and proves that its tensors tile the data: in range, of the right size, without
 * overlap and without gaps.
 *
 * @throws {AssetError} Naming the first tensor at fault.
 */
export function parseHeader(json: string, range: DataRange): ReadonlyMap<string, TensorEntry> {
  const entries = new Map<string, TensorEntry>();
  for (
    const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(parse(json, range))
  ) {
    const entry = { dtype, dims: shape, begin: range.dataBegin + from, end: range.dataBegin + to };
    checkEntry(name, entry, range);
    entries.set(name, entry);
  }
  checkTiling(entries, range);
  return entries;
}

function parse(json: string, { path }: DataRange): z.infer<typeof headerSchema> {
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch (cause) {
    throw new AssetError(`Cannot open ${path}: its header must be JSON`, { cause });
  }
  if (typeof header === "object" && header !== null) header = withoutMetadata(header);
  const parsed = headerSchema.safeParse(header);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new AssetError(
    `Cannot open ${path}: header entry ${issue?.path.join(".") || "(root)"}: ${issue?.message}`,
  );
}

function withoutMetadata(header: object): object {
  const { __metadata__: _, ...tensors } = header as Record<string, unknown>; // any JSON object
  return tensors;
}

function checkEntry(name: string, entry: TensorEntry, { path, dataEnd }: DataRange): void {
  const wanted = elementCount(entry.dims) * (BYTES[entry.dtype] ?? NaN);
  if (entry.end - entry.begin !== wanted) {
    throw new AssetError(
      `Cannot open ${path}: ${name} of ${entry.dtype} [${entry.dims}] must have ${wanted} bytes: ` +
        `current value is ${entry.end - entry.begin}`,
    );
  }
  if (entry.end > dataEnd) {
    throw new AssetError(
      `Cannot open ${path}: ${name} must end inside of the file (${dataEnd} bytes): ` +
        `current value is ${entry.end}`,
    );
  }
}

function checkTiling(entries: ReadonlyMap<string, TensorEntry>, range: DataRange): void {
  const sorted = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let expected = range.dataBegin;
  for (const [name, { begin, end }] of sorted) {
    if (begin !== expected) {
      throw new AssetError(
        `Cannot open ${range.path}: ${name} must begin where its neighbour ends ` +
          `(byte ${expected}): current value is ${begin}`,
      );
    }
    expected = end;
  }
  if (expected === range.dataEnd) return;
  throw new AssetError(
    `Cannot open ${range.path}: its tensors must fill the file (${range.dataEnd} bytes): ` +
      `current value is ${expected}`,
  );
}
