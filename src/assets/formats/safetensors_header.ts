/**
 * The header of a safetensors file, checked to the letter.
 */

import { z } from "npm:zod@4.6.7";
import { AssetError } from "../../errors.ts";
import { elementCount } from "../../tensor/tensor.ts";
import { checkJson, describe, parseJson } from "../json.ts";

export interface TensorEntry {
  /** Element type in the format's own words, such as `F16`. */
  readonly dtype: string;
  readonly dims: readonly number[];
  /** First byte in the file. */
  readonly begin: number;
  /** One past the last byte in the file. */
  readonly end: number;
}

/** Where the tensors of a file lie. */
export interface TensorArea {
  /** Name of the file, for messages. */
  readonly path: string;
  /** First byte after the header. */
  readonly dataBegin: number;
  readonly dataEnd: number;
}

/** Bytes of one element of each type of the format. */
// deno-fmt-ignore
export const DTYPE_BYTES: ReadonlyMap<string, number> = new Map([
  ["F64", 8], ["I64", 8], ["U64", 8], ["F32", 4], ["I32", 4], ["U32", 4],
  ["F16", 2], ["BF16", 2], ["I16", 2], ["U16", 2],
  ["I8", 1], ["U8", 1], ["BOOL", 1], ["F8_E4M3", 1], ["F8_E5M2", 1],
]);

/** Key of the header that is no tensor. */
const METADATA = "__metadata__";

const size = z.int().nonnegative();
const metadataSchema = z.record(z.string(), z.string());
const entrySchema = z.strictObject({
  dtype: z.enum([...DTYPE_BYTES.keys()]),
  shape: z.array(size).max(32),
  data_offsets: z.tuple([size, size]),
});

export interface Header {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** What the file says of itself. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Parses a header and proves that its tensors tile the data: in range, of the right size, without
 * overlap and without gaps.
 *
 * @throws {AssetError} Naming the first tensor at fault, or where metadata is not text by text.
 */
export function parseHeader(header: Uint8Array, area: TensorArea): Header {
  const json = parseHeaderObject(header, area.path);
  const entries = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json)) {
    if (name !== METADATA) entries.set(name, parseEntry(name, value, area));
  }
  checkTiling(entries, area);
  checkUnique(header, json, area);
  const notes = json[METADATA] ?? {};
  const metadata = checkJson(notes, metadataSchema, `${METADATA} of ${area.path}`);
  return { tensors: entries, metadata: new Map(Object.entries(metadata)) };
}

function parseHeaderObject(header: Uint8Array, path: string): Readonly<Record<string, unknown>> {
  const thing = `header of ${path}`;
  const json = parseJson(header, thing);
  if (isObject(json)) return json;
  throw new AssetError(
    `Cannot read ${thing}: it must be an object: current value is ${describe(json)}`,
  );
}

/** By hand: zod copies an object, and loses a tensor named `__proto__` on the way. */
function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function parseEntry(name: string, json: unknown, area: TensorArea): TensorEntry {
  const entry = checkJson(json, entrySchema, `${name} of ${area.path}`);
  const [from, to] = entry.data_offsets;
  const wanted = elementCount(entry.shape) * DTYPE_BYTES.get(entry.dtype)!; // the schema's own keys
  if (to - from !== wanted) {
    throw new AssetError(
      `Cannot open ${area.path}: ${name} of ${entry.dtype} [${entry.shape}] must have ` +
        `${wanted} bytes: current value is ${to - from}`,
    );
  }
  return {
    dtype: entry.dtype,
    dims: entry.shape,
    begin: area.dataBegin + from,
    end: area.dataBegin + to,
  };
}

function checkTiling(entries: ReadonlyMap<string, TensorEntry>, area: TensorArea): void {
  const sorted = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let expected = area.dataBegin;
  for (const [name, { begin, end }] of sorted) {
    if (begin !== expected) {
      throw new AssetError(
        `Cannot open ${area.path}: ${name} must begin where its neighbour ends ` +
          `(byte ${expected}): current value is ${begin}`,
      );
    }
    expected = end;
  }
  if (expected === area.dataEnd) return;
  throw new AssetError(
    `Cannot open ${area.path}: it must have ${expected} bytes, as its header says: ` +
      `current value is ${area.dataEnd}`,
  );
}

/** `JSON.parse` keeps the last of two equal keys; then the text has more keys than the value. */
function checkUnique(
  header: Uint8Array,
  json: Readonly<Record<string, unknown>>,
  { path }: TensorArea,
): void {
  let parsed = 0;
  for (const object of [json, ...Object.values(json)]) parsed += Object.keys(Object(object)).length;
  if (countKeys(header) === parsed) return;
  throw new AssetError(`Cannot open ${path}: the names in its header must be unique`);
}

/** Keys of all objects in valid JSON: colons outside of strings. */
function countKeys(json: Uint8Array): number {
  const [quote, backslash, colon] = [0x22, 0x5c, 0x3a];
  let count = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    if (json[i] === quote) inString = !inString;
    else if (inString && json[i] === backslash) i++;
    else if (!inString && json[i] === colon) count++;
  }
  return count;
}
