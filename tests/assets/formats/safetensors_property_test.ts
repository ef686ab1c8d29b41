import { assert } from "@std/assert";
import fc from "fast-check";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { openMemory } from "../../../src/assets/source.ts";
import { AssetError } from "../../../src/errors.ts";
import { file, fileOf, ramp } from "../files.ts";

const SEED = { seed: 20261123, numRuns: 500 };
const VALID = file({
  "blocks.0.weight": { dims: [3, 4], data: ramp(12) },
  bias: { dtype: "F16", dims: [4], data: ramp(4) },
  label: { dtype: "I64", dims: [2], data: [1, 2] },
});

/** Opens and reads everything: a typed error, or numbers that fit the shapes. */
async function readAll(bytes: Uint8Array): Promise<void> {
  try {
    const opened = await openSafetensors(openMemory(new Map([["f", bytes]])), "f");
    for (const [name, { dtype, dims }] of opened.tensors) {
      const count = dims.reduce((product, size) => product * size, 1);
      assert(count <= bytes.length, "no tensor has more elements than the file has bytes");
      const numbers = dtype === "I64"
        ? await opened.readIntegers(name)
        : (await opened.readFloat32(name)).data;
      assert(numbers.length === count);
    }
  } catch (error) {
    if (!(error instanceof AssetError)) throw error;
    assert(error.message.startsWith("Cannot ") && !error.message.includes("\n"), error.message);
    assert(error.message.length < 1000, "a message fits on a screen");
  }
}

Deno.test("any bytes as safetensors are a typed error or a valid file", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), readAll), SEED);
});

Deno.test("any JSON as a header is a typed error or a valid file", async () => {
  const header = fc.json({ maxDepth: 4 });
  const run = (json: string, size: number): Promise<void> => readAll(fileOf(json, size));
  await fc.assert(fc.asyncProperty(header, fc.nat(40), run), SEED);
});

Deno.test("headers of almost the right shape are a typed error or a valid file", async () => {
  const number = fc.oneof(fc.nat(16), fc.double(), fc.constantFrom(-1, 2 ** 53, 2 ** 64, 1e308));
  const entry = fc.record({
    dtype: fc.constantFrom("F32", "F16", "BF16", "I64", "U8", "F4", ""),
    shape: fc.array(number, { maxLength: 40 }),
    data_offsets: fc.array(number, { minLength: 1, maxLength: 3 }),
  }, { requiredKeys: ["dtype", "shape"] });
  const header = fc.dictionary(fc.string(), entry, { maxKeys: 4 });
  const run = (json: unknown, size: number): Promise<void> =>
    readAll(fileOf(JSON.stringify(json), size));
  await fc.assert(fc.asyncProperty(header, fc.nat(64), run), SEED);
});

Deno.test("a valid file with changed, lost or added bytes is a typed error or a valid file", async () => {
  const changes = fc.array(fc.tuple(fc.nat(VALID.length - 1), fc.nat(255)), { maxLength: 4 });
  const run = (edits: [number, number][], cut: number, added: Uint8Array): Promise<void> => {
    const bytes = new Uint8Array(VALID.length - cut + added.length);
    bytes.set(VALID.subarray(0, VALID.length - cut));
    bytes.set(added, VALID.length - cut);
    for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
    return readAll(bytes);
  };
  const cut = fc.oneof(fc.constant(0), fc.nat(VALID.length));
  await fc.assert(fc.asyncProperty(changes, cut, fc.uint8Array({ maxLength: 8 }), run), {
    ...SEED,
    numRuns: 3000,
  });
});
