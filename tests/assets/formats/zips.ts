/** Zip files and PyTorch checkpoints by hand: right ones, and wrong in one place. */

import { joinBytes } from "../../../src/tensor/bytes.ts";

/** What a zip holds, and how it lies about that. */
export interface ZipOptions {
  /** Writes the zip64 records too, as PyTorch does for large files. */
  readonly zip64?: boolean;
  /** Changes the fields of an entry in the directory. */
  readonly entry?: (name: string, fields: EntryFields) => EntryFields;
  /** Changes the fields of the end. */
  readonly end?: (fields: EndFields) => EndFields;
  /** Changes the zip64 record's fields; absent = those of the end. */
  readonly end64?: (fields: EndFields) => EndFields;
  /** Bytes of extra field in every local header. */
  readonly padding?: number;
  /** Text behind everything. */
  readonly comment?: string;
  /** Bytes that this file has behind those given, and that are left out of what is written. */
  readonly hole?: readonly [name: string, length: number];
}

/** Fields of this value say that the number is in a zip64 field. */
export const LARGE = 0xffffffff;

/** Of the directory. */
export interface EntryFields {
  readonly flags: number;
  readonly method: number;
  readonly stored: number;
  readonly plain: number;
  readonly disk: number;
  readonly begin: number;
  readonly extra: Uint8Array;
}

/** Of the end record. */
export interface EndFields {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
}

/** Little-endian numbers, `[bytes, value]` each. */
export function numbers(...fields: readonly (readonly [1 | 2 | 4 | 8, number])[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 8) view.setBigUint64(at, BigInt(value), true);
    else if (width === 4) view.setUint32(at, value, true);
    else if (width === 2) view.setUint16(at, value, true);
    else view.setUint8(at, value);
    at += width;
  }
  return bytes;
}

/** A zip of these files, in order; a name may be given twice. */
export function zip(
  files: readonly (readonly [string, Uint8Array])[],
  options: ZipOptions = {},
): Uint8Array<ArrayBuffer> {
  const locals: Uint8Array[] = [];
  const entries: Uint8Array[] = [];
  let at = 0;
  for (const [name, bytes] of files) {
    const local = joinBytes([localHeader(name, options.padding ?? 0), bytes]);
    const hole = options.hole?.[0] === name ? options.hole[1] : 0;
    const fields = entryFields(bytes.length + hole, at);
    entries.push(directoryEntry(name, options.entry?.(name, fields) ?? fields));
    locals.push(local);
    at += local.length + hole;
  }
  const directory = joinBytes(entries);
  const end = { count: files.length, size: directory.length, offset: at };
  return joinBytes([...locals, directory, ...ends(end, at + directory.length, options)]);
}

function entryFields(size: number, begin: number): EntryFields {
  const long = [...(size >= LARGE ? [size, size] : []), ...(begin >= LARGE ? [begin] : [])];
  return {
    flags: 0x800,
    method: 0,
    stored: Math.min(size, LARGE),
    plain: Math.min(size, LARGE),
    disk: 0,
    begin: Math.min(begin, LARGE),
    extra: long.length === 0 ? new Uint8Array() : zip64Field(...long),
  };
}

/** A zip64 field of these numbers. */
export function zip64Field(...values: readonly number[]): Uint8Array {
  return numbers([2, 1], [2, 8 * values.length], ...values.map((value) => [8, value] as const));
}

function localHeader(name: string, padding: number): Uint8Array {
  const text = new TextEncoder().encode(name);
  const fixed = numbers([4, 0x04034b50], [2, 45], [2, 0x800], [2, 0], [8, 0], [8, 0], [4, 0]);
  return joinBytes([
    fixed.subarray(0, 26),
    numbers([2, text.length], [2, padding]),
    text,
    new Uint8Array(padding),
  ]);
}

function directoryEntry(name: string, fields: EntryFields): Uint8Array {
  const text = new TextEncoder().encode(name);
  const { flags, method, stored, plain, disk, begin, extra } = fields;
  return joinBytes([
    numbers([4, 0x02014b50], [4, 0], [2, flags], [2, method], [8, 0], [4, stored], [4, plain]),
    numbers([2, text.length], [2, extra.length], [2, 0], [2, disk], [2, 0], [4, 0], [4, begin]),
    text,
    extra,
  ]);
}

function ends(end: EndFields, at: number, options: ZipOptions): readonly Uint8Array[] {
  const short = { ...end, offset: Math.min(end.offset, LARGE) };
  const plain = options.end?.(short) ?? short;
  const comment = new TextEncoder().encode(options.comment ?? "");
  const last = numbers(
    [4, 0x06054b50],
    [4, 0],
    [2, plain.count],
    [2, plain.count],
    [4, plain.size],
    [4, plain.offset],
    [2, comment.length],
  );
  if (options.zip64 !== true) return [last, comment];
  const { count, size, offset } = options.end64?.(end) ?? end;
  const record = numbers(
    [4, 0x06064b50],
    [8, 44],
    [4, 0],
    [8, 0],
    [8, count],
    [8, count],
    [8, size],
    [8, offset],
  );
  return [record, numbers([4, 0x07064b50], [4, 0], [8, at], [4, 1]), last, comment];
}

/** One tensor of a checkpoint: its bytes are a storage of their own. */
export interface CheckpointTensor {
  /** Class of its storage, such as `HalfStorage`. */
  readonly storage: string;
  /** Its shape; elements lie row-major. */
  readonly dims: readonly number[];
  /** Its bytes. */
  readonly bytes: Uint8Array;
  /** Bytes of one element. */
  readonly width: number;
}

/** Pickle opcodes as text and numbers, `"cposix\nsystem\n"` or `0x80`. */
export function opcodes(...parts: readonly (string | number | Uint8Array)[]): Uint8Array {
  return joinBytes(
    parts.map((part) =>
      typeof part === "string"
        ? new TextEncoder().encode(part)
        : typeof part === "number"
        ? Uint8Array.of(part)
        : part
    ),
  );
}

/** BINUNICODE. */
export function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  return joinBytes([opcodes("X"), numbers([4, bytes.length]), bytes]);
}

/** BININT. */
export function integer(value: number): Uint8Array {
  return joinBytes([opcodes("J"), numbers([4, value])]);
}

/** A call of `_rebuild_tensor_v2`. */
export function tensorOpcodes(
  key: string,
  { storage, count, offset, dims, strides }: {
    readonly storage: string;
    readonly count: number;
    readonly offset: number;
    readonly dims: readonly number[];
    readonly strides: readonly number[];
  },
): Uint8Array {
  const tuple = (values: readonly number[]): Uint8Array =>
    opcodes("(", ...values.map(integer), "t");
  return opcodes(
    "ctorch._utils\n_rebuild_tensor_v2\n((",
    text("storage"),
    `ctorch\n${storage}\n`,
    text(key),
    text("cpu"),
    integer(count),
    "tQ",
    integer(offset),
    tuple(dims),
    tuple(strides),
    0x89,
    "ccollections\nOrderedDict\n)RtR",
  );
}

/** What `torch.save` writes for a plain dict of tensors, in protocol 2. */
export function checkpoint(
  tensors: ReadonlyMap<string, CheckpointTensor>,
): Uint8Array<ArrayBuffer> {
  const listed = [...tensors];
  const entries = listed.map(([name, { storage, dims, bytes, width }], key) => {
    const strides = dims.map((_, d) =>
      dims.slice(d + 1).reduce((product, size) => product * size, 1)
    );
    const count = bytes.length / width;
    return opcodes(
      text(name),
      tensorOpcodes(`${key}`, { storage, count, offset: 0, dims, strides }),
    );
  });
  return archive(
    opcodes(0x80, 2, "}(", ...entries, "u."),
    listed.map(([, { bytes }], key) => [`${key}`, bytes] as const),
  );
}

/** The zip of a pickle and its storages. */
export function archive(
  pickle: Uint8Array,
  storages: readonly (readonly [string, Uint8Array])[] = [],
  options: ZipOptions = {},
  order = "little",
): Uint8Array<ArrayBuffer> {
  return zip([
    ["archive/data.pkl", pickle],
    ["archive/byteorder", new TextEncoder().encode(order)],
    ...storages.map(([key, bytes]) => [`archive/data/${key}`, bytes] as const),
    ["archive/version", new TextEncoder().encode("3\n")],
  ], { padding: 7, ...options });
}
