import { assertEquals, assertThrows } from "@std/assert";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import * as fc from "fast-check";
import { MessageWriter } from "../../src/onnx/wire.ts";

function bytes(write: (message: MessageWriter) => void): number[] {
  const message = new MessageWriter();
  write(message);
  const finished = message.finish();
  assertEquals(message.byteLength, finished.length);
  return [...finished];
}

Deno.test("integer() writes varints of seven bits a byte, least significant first", () => {
  const written = (value: number): number[] => bytes((m) => m.integer(1, value)).slice(1);
  assertEquals(written(0), [0]);
  assertEquals(written(127), [0x7f]);
  assertEquals(written(128), [0x80, 0x01]);
  assertEquals(written(300), [0xac, 0x02]); // the specification's own example
  assertEquals(written(2 ** 32), [0x80, 0x80, 0x80, 0x80, 0x10]);
  assertEquals(written(2 ** 53 - 1), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
});

Deno.test("integer() writes negative numbers as ten bytes of two's complement", () => {
  const written = (value: number): number[] => bytes((m) => m.integer(1, value)).slice(1);
  assertEquals(written(-1), [...new Array<number>(9).fill(0xff), 0x01]);
  assertEquals(written(-128), [0x80, ...new Array<number>(8).fill(0xff), 0x01]);
});

Deno.test("integer() refuses a number that is not whole", () => {
  assertThrows(() => new MessageWriter().integer(1, 0.5), RangeError);
});

Deno.test("every field begins with its number and wire type, in two bytes from field 16 on", () => {
  assertEquals(bytes((m) => m.integer(15, 1)), [0x78, 1]);
  assertEquals(bytes((m) => m.integer(20, 7)), [0xa0, 0x01, 7]);
  assertEquals(bytes((m) => m.float(2, 1.5)), [0x15, 0, 0, 0xc0, 0x3f]);
  assertEquals(bytes((m) => m.bytes(9, Uint8Array.of(5, 6))), [0x4a, 2, 5, 6]);
});

Deno.test("string() counts the bytes of UTF-8, not letters", () => {
  assertEquals(bytes((m) => m.string(1, "aé")), [0x0a, 3, 0x61, 0xc3, 0xa9]);
  assertEquals(bytes((m) => m.string(1, "")), [0x0a, 0]);
});

Deno.test("integers() packs numbers into one field, and none into an empty one", () => {
  assertEquals(bytes((m) => m.integers(8, [3, 270, -1])).slice(0, 5), [0x42, 13, 3, 0x8e, 0x02]);
  assertEquals(bytes((m) => m.integers(8, [])), [0x42, 0]);
});

Deno.test("message() nests messages to any depth", () => {
  const inner = new MessageWriter().integer(1, 150);
  const middle = new MessageWriter().message(3, inner).string(4, "x");
  assertEquals(bytes((m) => m.message(2, middle)), [0x12, 8, 0x1a, 3, 8, 0x96, 1, 0x22, 1, 0x78]);
  assertEquals(bytes((m) => m.message(2, new MessageWriter())), [0x12, 0]);
});

Deno.test("bytes() keeps a reference and copies once, into the finished message", () => {
  const weights = Uint8Array.of(1, 2);
  const message = new MessageWriter().bytes(1, weights);
  weights[0] = 9;
  const finished = message.finish();
  weights[1] = 9;
  assertEquals([...finished], [0x0a, 2, 9, 2]);
});

Deno.test("an independent reader reads any fields back", () => {
  const field = fc.integer({ min: 1, max: 2 ** 29 - 1 });
  const fields = fc.array(fc.oneof(
    fc.record({ field, integer: fc.maxSafeInteger() }),
    fc.record({ field, float: fc.float({ noNaN: true }) }),
    fc.record({ field, text: fc.string({ unit: "grapheme" }) }),
    fc.record({ field, packed: fc.array(fc.maxSafeInteger(), { maxLength: 5 }) }),
  ));
  fc.assert(
    fc.property(fields, (written) => {
      const message = new MessageWriter();
      for (const entry of written) {
        if ("integer" in entry) message.integer(entry.field, entry.integer);
        else if ("float" in entry) message.float(entry.field, entry.float);
        else if ("text" in entry) message.string(entry.field, entry.text);
        else message.integers(entry.field, entry.packed);
      }
      const reader = new BinaryReader(message.finish());
      for (const entry of written) {
        assertEquals(reader.tag()[0], entry.field);
        if ("integer" in entry) assertEquals(BigInt(reader.int64()), BigInt(entry.integer));
        else if ("float" in entry) assertEquals(reader.float(), entry.float);
        else if ("text" in entry) assertEquals(reader.string(), entry.text);
        else assertEquals(unpack(reader.bytes()), entry.packed);
      }
      assertEquals(reader.pos, reader.len);
    }),
    { seed: 20, numRuns: 300 },
  );
});

function unpack(packed: Uint8Array): number[] {
  const reader = new BinaryReader(packed);
  const numbers: number[] = [];
  while (reader.pos < reader.len) numbers.push(Number(reader.int64()));
  return numbers;
}
