import { assertEquals, assertRejects } from "@std/assert";
import { openSafetensors, type Safetensors } from "../../../src/assets/formats/safetensors.ts";
import { openMemory } from "../../../src/assets/source.ts";
import { AssetError } from "../../../src/errors.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { file, fileOf, ramp } from "../files.ts";

function open(bytes: Uint8Array): Promise<Safetensors> {
  return openSafetensors(openMemory(new Map([["f", bytes]])), "f");
}

function entry(offsets: string, shape = "[2]", dtype = "F32"): string {
  return `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
}

/** What is wrong → file, and a part of the message. */
const REFUSED: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  "an empty file": [new Uint8Array(), "must have at least 8 bytes: current value is 0"],
  "less than a header length": [new Uint8Array(7), "current value is 7"],
  "a header length beyond the file": [
    joinBytes([new Uint8Array([200, 0, 0, 0, 0, 0, 0, 0]), new Uint8Array(20)]),
    "its header must have at most 20 bytes: current value is 200",
  ],
  "a header length of 2^64 − 1": [
    new Uint8Array(40).fill(255),
    "at most 32 bytes: current value is 18446744073709552000",
  ],
  "a header of no bytes": [new Uint8Array(8), "must be JSON in UTF-8"],
  "a header that is not JSON": [fileOf("{'a': 1}"), "must be JSON in UTF-8"],
  "a header that is not UTF-8": [
    joinBytes([new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0]), new Uint8Array([0xff, 0xfe])]),
    "must be JSON in UTF-8",
  ],
  "a header that is a list": [fileOf("[]"), "it must be an object: current value is an array of 0"],
  "a header that is null": [fileOf("null"), "current value is null"],
  "metadata that is not text": [fileOf('{"__metadata__":{"a":1}}'), "a must be of type string"],
  "an entry that is not an object": [fileOf('{"x":7}'), "Cannot read x of f: it must be of type"],
  "an entry without offsets": [
    fileOf('{"x":{"dtype":"F32","shape":[2]}}'),
    "data_offsets must be of type tuple: current value is absent",
  ],
  "an entry with an unknown key": [
    fileOf(`{"x":${entry("[0,8]").replace("{", '{"extra":1,')}}`, 8),
    'it must not have the key "extra"',
  ],
  "an unknown dtype": [
    fileOf(`{"x":${entry("[0,8]", "[2]", "F31")}}`, 8),
    'current value is "F31"',
  ],
  "a negative size": [fileOf(`{"x":${entry("[0,8]", "[-2]")}}`, 8), "shape.0 must be at least 0"],
  "a size that is no integer": [fileOf(`{"x":${entry("[0,8]", "[0.5]")}}`, 8), "shape.0 must be"],
  "a size beyond 2^53": [fileOf(`{"x":${entry("[0,8]", "[1e300]")}}`, 8), "shape.0 must be"],
  "a shape that overflows": [
    fileOf(`{"x":${entry("[0,8]", "[9007199254740991,9007199254740991]")}}`, 8),
    "bytes: current value is 8",
  ],
  "three offsets": [fileOf(`{"x":${entry("[0,4,8]")}}`, 8), "data_offsets must"],
  "offsets that end before they begin": [
    fileOf(`{"x":${entry("[8,0]")}}`, 8),
    "current value is -8",
  ],
  "offsets that do not fit dtype and shape": [
    fileOf(`{"x":${entry("[0,8]", "[3]")}}`, 8),
    "x of F32 [3] must have 12 bytes: current value is 8",
  ],
  "offsets beyond the file": [
    fileOf(`{"x":${entry("[0,8]")}}`, 4),
    "bytes, as its header says: current value is",
  ],
  "tensors that overlap": [
    fileOf(`{"x":${entry("[0,8]")},"y":${entry("[4,12]")}}`, 12),
    "y must begin where its neighbour ends",
  ],
  "two tensors in one place": [
    fileOf(`{"x":${entry("[0,8]")},"y":${entry("[0,8]")}}`, 8),
    "y must begin where its neighbour ends",
  ],
  "a gap between tensors": [
    fileOf(`{"x":${entry("[0,8]")},"y":${entry("[9,17]")}}`, 17),
    "y must begin where its neighbour ends",
  ],
  "bytes after the last tensor": [fileOf(`{"x":${entry("[0,8]")}}`, 9), "as its header says"],
  "two tensors of one name": [
    fileOf(`{"x":${entry("[0,8]")},"x":${entry("[0,8]")}}`, 8),
    "the names in its header must be unique",
  ],
  "an entry that says its shape twice": [
    fileOf(`{"x":${entry("[0,8]").replace("{", '{"shape":[1],')}}`, 8),
    "the names in its header must be unique",
  ],
};

for (const [what, [bytes, message]] of Object.entries(REFUSED)) {
  Deno.test(`openSafetensors() refuses ${what}`, async () => {
    await assertRejects(() => open(bytes), AssetError, message);
  });
}

Deno.test("openSafetensors() refuses a file cut anywhere", async () => {
  const whole = file({ x: { dims: [2, 3], data: ramp(6) }, y: { dims: [1], data: ramp(1) } });
  for (let length = 0; length < whole.length; length++) {
    await assertRejects(() => open(whole.subarray(0, length)), AssetError);
  }
});

Deno.test("openSafetensors() accepts what the format allows but few writers write", async () => {
  const name = String.raw`a \"quoted\": \u00e9:{}\\`;
  const entries = [
    `"__metadata__":{"k:":"v:"}`,
    `"${name}":${entry("[0,8]")}`,
    `"none":${entry("[8,8]", "[3,0]")}`,
    `"scalar":${entry("[8,9]", "[]", "U8")}`,
    `"__proto__":${entry("[9,17]")}`,
  ];
  const { tensors } = await open(fileOf(`{${entries.join(",")}}   `, 17));
  assertEquals([...tensors.keys()], [JSON.parse(`"${name}"`), "none", "scalar", "__proto__"]);
  assertEquals(tensors.get("none")?.dims, [3, 0]);
});

Deno.test("openSafetensors() accepts a file without tensors", async () => {
  assertEquals((await open(fileOf("{}"))).tensors.size, 0);
});

Deno.test("openSafetensors() survives a header that is nested very deeply", async () => {
  const deep = fileOf(`{"x":${"[".repeat(200_000)}${"]".repeat(200_000)}}`);
  await assertRejects(() => open(deep), AssetError, "current value is an array of 1");
});
