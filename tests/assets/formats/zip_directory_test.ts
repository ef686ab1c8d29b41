import { assertEquals, assertRejects } from "@std/assert";
import { openMemory } from "../../../src/assets/source.ts";
import { locateEntry, readZipDirectory } from "../../../src/assets/formats/zip_directory.ts";
import { AssetError } from "../../../src/errors.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { type EntryFields, LARGE, zip, zip64Field, type ZipOptions } from "./zips.ts";

const FILES = [["a/data.pkl", Uint8Array.of(1, 2, 3)], ["a/data/0", Uint8Array.of(4, 5)]] as const;

async function contents(bytes: Uint8Array): Promise<Readonly<Record<string, readonly number[]>>> {
  const source = openMemory(new Map([["f.pt", bytes]]));
  const entries = await readZipDirectory(source, "f.pt");
  const read = [...entries].map(async ([name, entry]) => {
    const found = await source.read("f.pt", await locateEntry(source, "f.pt", entry));
    return [name, [...found]] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

const EXPECTED = { "a/data.pkl": [1, 2, 3], "a/data/0": [4, 5] };

Deno.test("readZipDirectory() finds what is stored, with zip64 records or without, with padding or a comment", async () => {
  const wide = (_: string, fields: EntryFields): EntryFields => ({
    ...fields,
    stored: LARGE,
    plain: LARGE,
    begin: LARGE,
    extra: joinBytes([
      Uint8Array.of(0x46, 0x42, 1, 0, 9), // another field goes first
      zip64Field(fields.plain, fields.stored, fields.begin),
    ]),
  });
  const saturated = { count: 0xffff, size: LARGE, offset: LARGE };
  const kinds: readonly ZipOptions[] = [
    {},
    { padding: 53 },
    { comment: "PK\x05\x06 is how an end begins" },
    { zip64: true },
    { zip64: true, end: () => saturated },
    { entry: wide },
    { entry: wide, zip64: true, end: () => saturated, padding: 3, comment: "x" },
  ];
  for (const options of kinds) assertEquals(await contents(zip(FILES, options)), EXPECTED);
});

const REFUSED: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  "an empty file": [new Uint8Array(), "it must be a whole zip file"],
  "a cut file": [zip(FILES).subarray(0, -1), "it must be a whole zip file"],
  "bytes behind the end": [
    joinBytes([zip(FILES), Uint8Array.of(0)]),
    "it must be a whole zip file",
  ],
  "a compressed entry": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, method: 8, plain: 1 << 30 }) }),
    "a/data.pkl must be stored without compression: current value is method 8",
  ],
  "an encrypted entry": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, flags: 1 }) }),
    "a/data.pkl must not be encrypted",
  ],
  "an entry of two sizes": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, plain: 4 }) }),
    "a/data.pkl must have one size: current value is 3 and 4",
  ],
  "an entry on another disk": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, disk: 1 }) }),
    "a/data.pkl must be in this file",
  ],
  "a name given twice": [zip([FILES[0], FILES[0]]), "a/data.pkl must be there once"],
  "entries over each other": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, begin: 0 }) }),
    "a/data.pkl must end at or before byte 0: current value is 43",
  ],
  "an entry that reaches into the next": [
    zip(FILES, {
      entry: (name, fields) => name === "a/data/0" ? fields : { ...fields, plain: 4, stored: 4 },
    }),
    "a/data.pkl must end at or before byte 43: current value is 44",
  ],
  "an entry that reaches into the directory": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, begin: fields.begin + 1 }) }),
    "a/data/0 must end at or before byte",
  ],
  "an entry of almost 2^53 bytes": [
    zip(FILES, {
      entry: (_, fields) => ({
        ...fields,
        stored: LARGE,
        plain: LARGE,
        extra: zip64Field(2 ** 53 - 1, 2 ** 53 - 1),
      }),
    }),
    "a/data.pkl must end at or before byte 43",
  ],
  "an entry of 2^63 bytes": [
    zip(FILES, {
      entry: (_, fields) => ({
        ...fields,
        stored: LARGE,
        plain: LARGE,
        extra: zip64Field(2 ** 63),
      }),
    }),
    "must be below 2^53",
  ],
  "a zip64 field that is absent": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, begin: LARGE }) }),
    "it must have a zip64 field",
  ],
  "a zip64 field that is too short": [
    zip(FILES, {
      entry: (_, fields) => ({ ...fields, stored: LARGE, plain: LARGE, extra: zip64Field(3) }),
    }),
    "it must have 8 bytes at byte 8: current value is 0 bytes",
  ],
  "two zip64 fields": [
    zip(FILES, {
      entry: (_, fields) => ({ ...fields, extra: joinBytes([zip64Field(3), zip64Field(3)]) }),
    }),
    "it must have one zip64 field",
  ],
  "an extra field that is cut": [
    zip(FILES, { entry: (_, fields) => ({ ...fields, extra: Uint8Array.of(1, 0, 9, 0) }) }),
    "it must have 9 bytes at byte 4",
  ],
  "more entries than there are": [
    zip(FILES, { end: (end) => ({ ...end, count: 3 }) }),
    "it must have room for its entries: current value is 3",
  ],
  "fewer entries than there are": [
    zip(FILES, { end: (end) => ({ ...end, count: 1 }) }),
    "it must end with its last entry: current value is 54 bytes more",
  ],
  "a count of 2^52 entries": [
    zip(FILES, {
      zip64: true,
      end: (end) => ({ ...end, count: 0xffff }),
      end64: (end) => ({ ...end, count: 2 ** 52 }),
    }),
    "it must have room for its entries",
  ],
  "zip64 records that contradict": [
    zip(FILES, { zip64: true, end64: (end) => ({ ...end, size: end.size - 1 }) }),
    "its zip64 fields must agree with the plain ones",
  ],
  "a directory behind the end": [
    zip(FILES, { end: (end) => ({ ...end, offset: 1 << 30 }) }),
    "it must end at or before byte",
  ],
  "a directory of the wrong place": [
    zip(FILES, { end: (end) => ({ ...end, offset: end.offset - 1 }) }),
    "an entry must begin at byte 0",
  ],
  "a name that leaves the folder": [
    zip([["../a", Uint8Array.of(1)]]),
    'names must be relative paths of at most 1024 characters: current value is "../a"',
  ],
  "an absolute name": [zip([["/a", Uint8Array.of(1)]]), "names must be relative paths"],
  "a name with a line feed": [zip([["a\n", Uint8Array.of(1)]]), "names must be relative paths"],
  "a name of 2,000 letters": [zip([["a".repeat(2000), FILES[0][1]]]), "names must be relative"],
};

for (const [what, [bytes, message]] of Object.entries(REFUSED)) {
  Deno.test(`readZipDirectory() refuses ${what}`, async () => {
    await assertRejects(() => contents(bytes), AssetError, message);
  });
}

Deno.test("locateEntry() refuses a local header that is another's, or that pushes its data out", async () => {
  const renamed = zip(FILES);
  renamed[30] = 0x62; // the first letter of the first name
  await assertRejects(
    () => contents(renamed),
    AssetError,
    "must have the name that the directory gives",
  );
  const pushed = zip(FILES);
  pushed[28] = 1; // length of its extra field
  await assertRejects(
    () => contents(pushed),
    AssetError,
    "it must end at or before byte 43: current value is 44",
  );
});
