/**
 * The table of contents of a zip file whose entries are stored as they are, as PyTorch writes them:
 * with zip64 fields, without compression.
 *
 * *Source:* PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory),
 * 4.3.14 – 4.3.16 (ends), 4.5.3 (zip64 extra field).
 */

import { ByteReader } from "./byte_reader.ts";
import { describe } from "../json.ts";
import { fail } from "../read_errors.ts";
import type { ByteRange, Source } from "../source.ts";

/** One stored file inside of the zip. */
export interface ZipEntry {
  /** Its path inside, such as `archive/data/0`. */
  readonly name: string;
  /** Bytes it has. */
  readonly size: number;
  /** Where its local header begins in the zip. */
  readonly headerBegin: number;
  /** Where the next thing begins: its data ends there or before. */
  readonly limit: number;
}

const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const COMMENT_LIMIT = 0xffff;
/** Largest central directory: 16 MiB, room for 200,000 tensors. */
const DIRECTORY_LIMIT = 1 << 24;
const NAME_LIMIT = 1024;
const SIGNATURE = { end: 0x06054b50, locator: 0x07064b50, end64: 0x06064b50 } as const;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const ZIP64_FIELD = 1;
const ENCRYPTED = 0x2041; // bits 0, 6 and 13 of the flags
const IN_ZIP64 = 0xffffffff;

/**
 * Reads the table of contents: the end of the file, then the directory, nothing else.
 *
 * @throws {AssetError} When it is not a zip; when entries are compressed, encrypted, named twice, overlap or
 *   lie outside of the file; when a count, size or field contradicts another.
 */
export async function readZipDirectory(
  source: Source,
  path: string,
): Promise<ReadonlyMap<string, ZipEntry>> {
  const fileSize = await source.size(path) ?? fail(path, `it must exist in ${source.name}`);
  const length = Math.min(fileSize, END64_BYTES + LOCATOR_BYTES + END_BYTES + COMMENT_LIMIT);
  const tail = await source.read(path, { offset: fileSize - length, length });
  const directory = findDirectory(tail, fileSize - length, path);
  const range = { offset: directory.offset, length: directory.size };
  const reader = new ByteReader(await source.read(path, range), `directory of ${path}`);
  const entries = Array.from({ length: directory.count }, () => readEntry(reader));
  if (reader.left > 0) {
    fail(
      reader.thing,
      `it must end with its last entry: current value is ${reader.left} bytes more`,
    );
  }
  return arrange(entries, directory.offset, reader.thing);
}

/**
 * Where an entry's bytes lie: only its local header, which is read, tells how long that header is.
 *
 * @throws {AssetError} When the local header is not this entry's, or its data would not fit.
 */
export async function locateEntry(
  source: Source,
  path: string,
  entry: ZipEntry,
): Promise<ByteRange> {
  const { name, headerBegin, size, limit } = entry;
  const thing = `${name} of ${path}`;
  const named = new TextEncoder().encode(name).length;
  const length = LOCAL_BYTES + named; // it ends before `limit`: checked with the directory
  const header = await source.read(path, { offset: headerBegin, length });
  const reader = new ByteReader(header, thing);
  const signature = reader.uint32();
  reader.take(22); // versions, flags, times and sizes: the directory's are those that count
  const nameLength = reader.uint16();
  const extraLength = reader.uint16();
  if (signature !== LOCAL_SIGNATURE || nameLength !== named || reader.text(named) !== name) {
    fail(thing, "its local header must have the name that the directory gives it");
  }
  const offset = headerBegin + length + extraLength;
  if (offset + size > limit) {
    fail(thing, `it must end at or before byte ${limit}: current value is ${offset + size}`);
  }
  return { offset, length: size };
}

interface Directory {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
}

/** Finds the directory from the last bytes of the file, which begin at `tailBegin` in it. */
function findDirectory(tail: Uint8Array, tailBegin: number, path: string): Directory {
  const thing = `directory of ${path}`;
  const end = findEnd(tail);
  if (end === undefined) fail(path, "it must be a whole zip file: its end is not one's");
  const reader = new ByteReader(tail.subarray(end + 4), thing);
  if (reader.uint16() !== 0 || reader.uint16() !== 0) fail(thing, "it must be in one file");
  const counts = [reader.uint16(), reader.uint16()] as const;
  const short = { count: counts[1], size: reader.uint32(), offset: reader.uint32() };
  if (counts[0] !== counts[1]) {
    fail(thing, `its counts of entries must agree: current value is ${counts.join(" and ")}`);
  }
  const long = longDirectory(tail.subarray(0, end), tailBegin, thing);
  const directory = long ?? short;
  const agrees = (a: number, b: number, saturated: number): boolean => a === saturated || a === b;
  if (
    !agrees(short.count, directory.count, 0xffff) ||
    !agrees(short.size, directory.size, IN_ZIP64) ||
    !agrees(short.offset, directory.offset, IN_ZIP64)
  ) fail(thing, "its zip64 fields must agree with the plain ones");
  const most = tailBegin + end - (long === undefined ? 0 : LOCATOR_BYTES + END64_BYTES);
  checkPlace(directory, most, thing);
  return directory;
}

/** Where the end record begins: the last one whose comment reaches the end of the file. */
function findEnd(tail: Uint8Array): number | undefined {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) !== SIGNATURE.end) continue;
    if (at + END_BYTES + view.getUint16(at + 20, true) === tail.length) return at;
  }
  return undefined;
}

/** The zip64 record, if there is one: just before its locator, which is just before the end record. */
function longDirectory(
  before: Uint8Array,
  tailBegin: number,
  thing: string,
): Directory | undefined {
  const at = before.length - LOCATOR_BYTES;
  if (at < 0) return undefined;
  const locator = new ByteReader(before.subarray(at), thing);
  if (locator.uint32() !== SIGNATURE.locator) return undefined;
  const oneDisk = locator.uint32() === 0;
  const recordAt = locator.uint64();
  const disks = locator.uint32();
  if (!oneDisk || disks > 1) fail(thing, "it must be in one file");
  if (at < END64_BYTES || recordAt !== tailBegin + at - END64_BYTES) {
    fail(thing, `its zip64 record must be just before its locator: current value is ${recordAt}`);
  }
  const record = new ByteReader(before.subarray(at - END64_BYTES, at), thing);
  if (record.uint32() !== SIGNATURE.end64 || record.uint64() !== END64_BYTES - 12) {
    fail(thing, "its zip64 record must have the signature and size of one");
  }
  record.take(4); // versions
  if (record.uint32() !== 0 || record.uint32() !== 0) fail(thing, "it must be in one file");
  const [here, count] = [record.uint64(), record.uint64()];
  if (here !== count) {
    fail(thing, `its counts of entries must agree: current value is ${here} and ${count}`);
  }
  return { count, size: record.uint64(), offset: record.uint64() };
}

function checkPlace({ count, size, offset }: Directory, most: number, thing: string): void {
  if (offset + size > most) {
    fail(thing, `it must end at or before byte ${most}: current value is ${offset + size}`);
  }
  if (size > DIRECTORY_LIMIT) {
    fail(thing, `it must have at most ${DIRECTORY_LIMIT} bytes: current value is ${size}`);
  }
  if (count * ENTRY_BYTES > size) {
    fail(thing, `it must have room for its entries: current value is ${count} in ${size} bytes`);
  }
}

type Listed = Omit<ZipEntry, "limit">;

function readEntry(reader: ByteReader): Listed {
  const { thing, at } = reader;
  if (reader.uint32() !== ENTRY_SIGNATURE) fail(thing, `an entry must begin at byte ${at}`);
  reader.take(4); // versions
  const flags = reader.uint16();
  const method = reader.uint16();
  reader.take(8); // time, date, and the CRC, which PyTorch's writer may leave out (set_crc32_options)
  const stored = reader.uint32();
  const plain = reader.uint32();
  const lengths = [reader.uint16(), reader.uint16(), reader.uint16()] as const;
  const disk = reader.uint16();
  reader.take(6); // attributes
  const begin = reader.uint32();
  const name = checkedName(reader.text(lengths[0]), thing);
  const extra = new ByteReader(reader.take(lengths[1]), `${name} in ${thing}`);
  reader.take(lengths[2]); // a comment
  if (method !== 0) {
    fail(thing, `${name} must be stored without compression: current value is method ${method}`);
  }
  if ((flags & ENCRYPTED) !== 0) fail(thing, `${name} must not be encrypted`);
  if (disk !== 0) fail(thing, `${name} must be in this file: current value is disk ${disk}`);
  const [size, storedSize, headerBegin] = widened([plain, stored, begin], extra);
  if (size !== storedSize) {
    fail(thing, `${name} must have one size: current value is ${storedSize} and ${size}`);
  }
  return { name, size, headerBegin };
}

/** Replaces the fields that say "in the zip64 field" by that field's numbers, which are in their order. */
function widened(
  fields: readonly [number, number, number],
  extra: ByteReader,
): readonly [number, number, number] {
  let long: ByteReader | undefined;
  while (extra.left > 0) {
    const id = extra.uint16();
    const field = extra.take(extra.uint16());
    if (id !== ZIP64_FIELD) continue;
    if (long !== undefined) fail(extra.thing, "it must have one zip64 field");
    long = new ByteReader(field, extra.thing);
  }
  const wide = (field: number): number => {
    if (field !== IN_ZIP64) return field;
    return (long ?? fail(extra.thing, "it must have a zip64 field")).uint64();
  };
  return [wide(fields[0]), wide(fields[1]), wide(fields[2])];
}

function checkedName(name: string, thing: string): string {
  const parts = name.split("/");
  const strange = parts.some((part, i) => part === "." || part === ".." || part === "" && i === 0);
  const printable = !/[\p{Cc}\u2028\u2029\\]/u.test(name);
  if (!strange && printable && name.length <= NAME_LIMIT) return name;
  fail(
    thing,
    `names must be relative paths of at most ${NAME_LIMIT} characters: current value is ${
      describe(name)
    }`,
  );
}

/** Proves that no two entries share a name or a byte, nor reach into the directory. */
function arrange(
  listed: readonly Listed[],
  directoryBegin: number,
  thing: string,
): ReadonlyMap<string, ZipEntry> {
  const inOrder = listed.toSorted((a, b) => a.headerBegin - b.headerBegin);
  const entries = new Map<string, ZipEntry>();
  for (const [i, entry] of inOrder.entries()) {
    const { name, size, headerBegin } = entry;
    const limit = inOrder[i + 1]?.headerBegin ?? directoryBegin;
    const least = headerBegin + LOCAL_BYTES + new TextEncoder().encode(name).length + size;
    if (least > limit) {
      fail(thing, `${name} must end at or before byte ${limit}: current value is ${least}`);
    }
    if (entries.has(name)) fail(thing, `${name} must be there once`);
    entries.set(name, { ...entry, limit });
  }
  return entries;
}
