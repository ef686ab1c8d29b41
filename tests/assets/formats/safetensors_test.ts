import { assert, assertEquals, assertRejects } from "@std/assert";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { openSafetensors, type Safetensors } from "../../../src/assets/formats/safetensors.ts";
import { BLOCK_BYTES, openMemory } from "../../../src/assets/source.ts";
import { AssetError } from "../../../src/errors.ts";
import { counting, file, fileOf, ramp } from "../files.ts";

const GOLDEN = new URL("../../golden/dit-a/golden.safetensors", import.meta.url);

function open(bytes: Uint8Array): Promise<Safetensors> {
  return openSafetensors(openMemory(new Map([["f", bytes]])), "f");
}

Deno.test("openSafetensors() reads a published file: types, shapes, numbers", async () => {
  const golden = await open(await Deno.readFile(GOLDEN));
  assertEquals(golden.tensors.size, 8);
  assertEquals(golden.tensors.get("forward.output")?.dims, [4, 8, 8, 8]);
  assertEquals((await golden.readIntegers("timesteps")).slice(0, 3), [999, 946, 894]);
  const noise = await golden.readFloat32("sample.noise");
  assertEquals(noise.dims, [8, 4, 8, 8]);
  const squares = noise.data.reduce((sum, x) => sum + x * x, 0);
  assert(Math.abs(squares / noise.data.length - 1) < 0.1); // unit variance of 2,048 normal numbers
});

Deno.test("openSafetensors() reads the header only", async () => {
  const bytes = file({ big: { dims: [1 << 20], data: ramp(1 << 20) } });
  const { source, reads } = counting("f", bytes);
  const { tensors } = await openSafetensors(source, "f");
  const header = tensors.get("big")!.begin;
  assertEquals(reads, [{ offset: 0, length: 8 }, { offset: 8, length: header - 8 }]);
});

Deno.test("readFloat32() decodes F32, F16 and BF16 in blocks, whatever their alignment", async () => {
  const count = BLOCK_BYTES / 2 + 3; // two blocks for the half types, three for F32
  const halves = Float32Array.from({ length: count }, (_, i) => (i % 251 - 125) / 4); // exact in all
  const bits = Uint16Array.from(new Uint32Array(halves.buffer), (word) => word >>> 16);
  const header = (dtype: string, width: number): string =>
    `{"x":{"dtype":"${dtype}","shape":[${count}],"data_offsets":[0,${count * width}]}}`;
  const stored = {
    F32: [header("F32", 4), new Uint8Array(halves.buffer)],
    F16: [header("F16", 2), new Uint8Array(Float16Array.from(halves).buffer)],
    BF16: [header("BF16", 2), new Uint8Array(bits.buffer)],
  } as const;
  for (const [json, numbers] of Object.values(stored)) {
    for (const spaces of ["", " "]) { // one of them makes the numbers begin at an odd byte
      const bytes = fileOf(json + spaces, numbers.length);
      bytes.set(numbers, bytes.length - numbers.length);
      const { data } = await (await open(bytes)).readFloat32("x");
      assertEquals(data.findIndex((value, i) => value !== halves[i]), -1, json);
    }
  }
});

Deno.test("readFloat32() never holds the stored bytes of a tensor at once", async () => {
  const bytes = file({ big: { dims: [1 << 20], data: ramp(1 << 20) } });
  const { source, reads } = counting("f", bytes);
  await (await openSafetensors(source, "f")).readFloat32("big");
  assertEquals(reads.slice(2).map(({ length }) => length), [4 << 20]); // one stream …
  for await (const block of source.stream("f", reads[2]!)) assertEquals(block.length, BLOCK_BYTES);
});

Deno.test("readFloat32() accepts the sha256 of the stored bytes and refuses another", async () => {
  const data = ramp(1000);
  const opened = await open(file({ x: { dims: [10, 100], data } }));
  const hash = bytesToHex(sha256(new Uint8Array(data.buffer)));
  assertEquals((await opened.readFloat32("x", { sha256: hash })).data, data);
  const other = hash.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
  const error = await assertRejects(() => opened.readFloat32("x", { sha256: other }), AssetError);
  assertEquals(
    error.message,
    `Cannot read x of f: its sha256 must be ${other}: current value is ${hash}`,
  );
});

Deno.test("readFloat32() stops with the reason of its signal", async () => {
  const opened = await open(file({ x: { dims: [4], data: ramp(4) } }));
  const signal = AbortSignal.abort(new RangeError("enough"));
  await assertRejects(() => opened.readFloat32("x", { signal }), RangeError, "enough");
});

Deno.test("readFloat32() and readIntegers() refuse absent tensors and other types", async () => {
  const opened = await open(file({
    label: { dtype: "I64", dims: [2], data: [1, 2] },
    x: { dims: [1], data: ramp(1) },
  }));
  await assertRejects(() => opened.readFloat32("y"), AssetError, "it must be a tensor of f");
  await assertRejects(() => opened.readFloat32("label"), AssetError, "current value is I64");
  await assertRejects(() => opened.readIntegers("x"), AssetError, "current value is F32");
  assertEquals(await opened.readIntegers("label"), [1, 2]);
});

Deno.test("readIntegers() refuses numbers that float64 does not hold", async () => {
  const bytes = file({ label: { dtype: "I64", dims: [1], data: [1] } });
  bytes.fill(0x7f, bytes.length - 8);
  const opened = await open(bytes);
  await assertRejects(() => opened.readIntegers("label"), AssetError, "must be safe integers");
});

Deno.test("sample() reads only the elements of a large tensor, and a small one whole", async () => {
  const large = ramp(1 << 19);
  const bytes = file({
    large: { dims: [1 << 19], data: large },
    small: { dtype: "F16", dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  });
  const { source, reads } = counting("f", bytes);
  const opened = await openSafetensors(source, "f");
  const indices = [0, 77, 400_000, (1 << 19) - 1];
  assertEquals([...await opened.sample("large", indices)], indices.map((i) => large[i]));
  assertEquals(reads.slice(2).map(({ length }) => length), [4, 4, 4, 4]);
  assertEquals([...await opened.sample("small", [3, 0])], [4, 1]);
  assertEquals(reads.at(-1)?.length, 8);
});

Deno.test("sample() reads elements that lie side by side at once, such as rows of a table", async () => {
  const large = ramp(1 << 19);
  const { source, reads } = counting(
    "f",
    file({ large: { dims: [1 << 12, 1 << 7], data: large } }),
  );
  const opened = await openSafetensors(source, "f");
  const row = (first: number): number[] => Array.from({ length: 1 << 7 }, (_, i) => first + i);
  const indices = [...row(1 << 8), ...row(1 << 14), ...row(1 << 8), 5, 4];
  assertEquals([...await opened.sample("large", indices)], indices.map((i) => large[i]));
  assertEquals(reads.slice(2).map(({ length }) => length), [512, 512, 512, 4, 4]);
  const most = Array.from({ length: 1 << 17 }, (_, i) => i);
  reads.length = 0;
  assertEquals(await opened.sample("large", most), large.subarray(0, 1 << 17));
  assertEquals(reads.map(({ length }) => length), [1 << 18, 1 << 18]); // no more at a time
});

Deno.test("sample() refuses an index outside of the tensor", async () => {
  const opened = await open(file({ x: { dims: [4], data: ramp(4) } }));
  for (const index of [4, -1, 0.5, NaN]) {
    await assertRejects(() => opened.sample("x", [0, index]), RangeError, "from 0 to 3");
  }
});

Deno.test("openSafetensors() says that the file must exist", async () => {
  const opening = (): Promise<unknown> => openSafetensors(openMemory(new Map()), "f");
  await assertRejects(opening, AssetError, "Cannot open f: it must exist in memory");
});
