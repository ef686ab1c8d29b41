import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { type ByteRange, openMemory, type Source } from "../../../src/assets/source.ts";
import { openTorchCheckpoint } from "../../../src/assets/formats/torch_checkpoint.ts";
import { AssetError } from "../../../src/errors.ts";
import { elementCount } from "../../../src/tensor/tensor.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { archive, numbers, opcodes } from "./zips.ts";

const SEED = { seed: 20261124, numRuns: 2000 };
const FOLDER = new URL("../../golden/torch/", import.meta.url);
const FIXTURES: readonly Uint8Array[] = await fixtures();
/** Cases of the corpus test: about 4 seconds. */
const CASES = 100_000;
/** Where a case takes longer, something goes round in circles: a usual one takes 0.03 ms. */
const SLOWEST_MS = 2000;

async function fixtures(): Promise<readonly Uint8Array[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) if (name.endsWith(".pt")) names.push(name);
  return await Promise.all(names.sort().map((name) => Deno.readFile(new URL(name, FOLDER))));
}

/** PyTorch writes data.pkl first, and aligns what is in an entry. */
const PICKLE_BEGIN = 64;

type Outcome = "read" | "refused";

/** Opens and reads everything: a typed error, or numbers that fit the shapes and the file. */
async function outcome(bytes: Uint8Array): Promise<Outcome> {
  const began = performance.now();
  try {
    const weights = await openTorchCheckpoint(bounded(bytes), "f.pt");
    for (const name of weights.names) {
      const count = elementCount(weights.dims(name)!);
      assertLessOrEqual(count, bytes.length, "no tensor has more elements than the file has bytes");
      const read = await weights.read(name).catch(expectTyped);
      assertEquals(read?.data.length ?? count, count);
    }
    return "read";
  } catch (error) {
    expectTyped(error);
    return "refused";
  } finally {
    assertLessOrEqual(performance.now() - began, SLOWEST_MS);
  }
}

function expectTyped(error: unknown): undefined {
  if (!(error instanceof AssetError)) throw error;
  assert(error.message.startsWith("Cannot ") && !error.message.includes("\n"), error.message);
  assertLessOrEqual(error.message.length, 2000); // names are told in short
}

/** A source that proves that no more is asked for than the file has. */
function bounded(bytes: Uint8Array): Source {
  const inner = openMemory(new Map([["f.pt", bytes]]));
  const expectInside = ({ offset, length }: ByteRange): void =>
    assert(offset >= 0 && length >= 0 && offset + length <= bytes.length, "a read is inside");
  return {
    ...inner,
    read: (path, range) => (expectInside(range), inner.read(path, range)),
    stream: (path, range, signal) => (expectInside(range), inner.stream(path, range, signal)),
  };
}

/** Numbers from 0 to `below` − 1, the same on every run: a 32-bit xorshift. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** One to three changes: bits, bytes, cuts, and pieces of this or another fixture put in or over. */
function mutated(random: (below: number) => number): Uint8Array {
  let bytes = FIXTURES[random(FIXTURES.length)]!.slice();
  for (let changes = 1 + random(3); changes > 0; changes--) bytes = changed(bytes, random);
  return bytes;
}

function changed(bytes: Uint8Array<ArrayBuffer>, random: (below: number) => number): typeof bytes {
  const at = random(2) === 0 ? random(bytes.length + 1) : PICKLE_BEGIN + random(600);
  const donor = FIXTURES[random(FIXTURES.length)]!;
  const from = random(donor.length);
  const piece = donor.subarray(from, from + 1 + random(80));
  const kind = random(8);
  if (kind === 0 && random(4) === 0) return bytes.slice(0, at);
  if (kind === 1) return spliced(bytes, { at, lose: 1 + random(40), piece: new Uint8Array() });
  if (kind === 2) return spliced(bytes, { at, lose: 0, piece });
  if (kind === 3) return spliced(bytes, { at, lose: piece.length, piece });
  if (kind === 4) bytes[at] = [0, 0xff, 0x7f, 0x80, 0x2e, 0x52][random(6)]!; // STOP and REDUCE among them
  else if (kind === 5) bytes.fill(0xff, at, at + 1 + random(8));
  else if (at < bytes.length) bytes[at]! ^= 1 << random(8);
  return bytes;
}

function spliced(
  bytes: Uint8Array,
  { at, lose, piece }: { readonly at: number; readonly lose: number; readonly piece: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const rest = bytes.subarray(Math.min(bytes.length, at + lose));
  return joinBytes([bytes.subarray(0, at), piece, rest]);
}

Deno.test(`${CASES} damaged checkpoints are a typed error or a valid one, and none executes anything`, async () => {
  const random = seeded(20261124);
  const count = { read: 0, refused: 0 };
  for (let i = 0; i < CASES; i++) count[await outcome(mutated(random))]++;
  // Neither side is empty: a reader that refuses everything, or accepts everything, would not be tested.
  assert(count.read > CASES / 100 && count.refused > CASES / 4, JSON.stringify(count));
  assertEquals(await Deno.stat("executed-by-a-pickle").catch(() => "absent"), "absent");
});

Deno.test("every single changed byte of a small checkpoint's pickle is a typed error or a valid one", async () => {
  const bytes = await Deno.readFile(new URL("training.pt", FOLDER));
  assertEquals(await outcome(bytes), "read");
  const count = { read: 0, refused: 0 };
  for (let at = PICKLE_BEGIN; at < PICKLE_BEGIN + 1400; at++) {
    for (const value of [0, 1, 0x28, 0x51, 0x52, 0x62, 0x75, 0x81, 0x85, 0x94, 0xff]) {
      const edited = bytes.slice();
      edited[at] = value;
      count[await outcome(edited)]++;
    }
  }
  assert(count.read > 100 && count.refused > 1000, JSON.stringify(count));
});

Deno.test("any bytes are a typed error or a valid checkpoint, as a file, as a pickle, behind one's header", async () => {
  const bytes = fc.uint8Array({ maxLength: 400 });
  const kinds = fc.nat(2);
  await fc.assert(
    fc.asyncProperty(bytes, kinds, async (some, kind) => {
      if (kind === 0) await outcome(opcodes("PK", some));
      else await outcome(archive(kind === 1 ? some : opcodes(0x80, 2, some)));
    }),
    SEED,
  );
});

Deno.test("any sequence of opcodes is a typed error or a valid checkpoint", async () => {
  // deno-fmt-ignore
  const words = [
    "(", ")", "]", "}", "N", "t", "u", "s", "a", "e", "R", "b", "Q", "q\x00", "h\x00", "q\x01", "h\x01", "K\x01",
    "X\x01\x00\x00\x00x", "X\x07\x00\x00\x00storage", "ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n",
    "ctorch._utils\n_rebuild_tensor_v2\n", "ctorch._utils\n_rebuild_parameter\n", "cargparse\nNamespace\n",
  ];
  const codes = [0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x93, 0x94];
  const part = fc.oneof(fc.constantFrom(...words), fc.constantFrom(...codes));
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 60 }), async (parts) => {
      await outcome(archive(opcodes(0x80, 2, ...parts, "."), [["x", new Uint8Array(4)]]));
    }),
    { ...SEED, numRuns: 5000 },
  );
});

Deno.test("any fields in the zip's directory are a typed error or a valid checkpoint", async () => {
  const number = fc.oneof(
    fc.nat(2000),
    fc.constantFrom(0xffff, 0x7fffffff, 0xfffffffe, 0xffffffff),
  );
  const large = fc.oneof(fc.nat(2000), fc.constantFrom(2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63));
  const fields = fc.record({ stored: number, plain: number, begin: number });
  const pickle = opcodes(0x80, 2, "}.");
  await fc.assert(
    fc.asyncProperty(fields, large, large, fc.boolean(), async (given, a, b, zip64) => {
      const extra = numbers([2, 1], [2, 16], [8, a], [8, b]);
      await outcome(archive(pickle, [], { zip64, entry: (_, is) => ({ ...is, ...given, extra }) }));
      await outcome(archive(pickle, [], { zip64, end64: (is) => ({ ...is, count: a, size: b }) }));
      await outcome(archive(pickle, [], { zip64, end: (is) => ({ ...is, offset: given.begin }) }));
    }),
    SEED,
  );
});
