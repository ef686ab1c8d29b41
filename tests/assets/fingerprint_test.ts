import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { fingerprint } from "../../src/assets/fingerprint.ts";
import { openSafetensors } from "../../src/assets/formats/safetensors.ts";
import type { WritableTensor } from "../../src/assets/formats/safetensors_writer.ts";
import { openMemory } from "../../src/assets/source.ts";
import { fileWeights, type Weights } from "../../src/assets/weights.ts";
import { AssetError } from "../../src/errors.ts";
import { file } from "./files.ts";

const LARGE = 3 << 20; // sampled element by element: above one block in both types
const SUBJECT = { architecture: "dit", config: { depth: 1, width: 2 }, names: ["w", "b"] };

function numbers(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => (i % 251 - 125) / 4); // exact in float16
}

function weightsOf(
  dtype: "F16" | "F32",
  large = numbers(LARGE),
): Readonly<Record<string, WritableTensor>> {
  return {
    w: { dtype, dims: [3, 1 << 20], data: large },
    b: { dtype, dims: [10], data: numbers(10) },
  };
}

async function open(
  tensors: Readonly<Record<string, WritableTensor>>,
  path = "f",
): Promise<Weights> {
  return fileWeights(await openSafetensors(openMemory(new Map([[path, file(tensors)]])), path));
}

Deno.test("fingerprint() is the same for float16 and its float32 upcast, under any file name", async () => {
  const half = await fingerprint(await open(weightsOf("F16")), SUBJECT);
  assertEquals(half, await fingerprint(await open(weightsOf("F32"), "renamed"), SUBJECT));
});

Deno.test("fingerprint() is the same when tensors come from several files in another order", async () => {
  const { w, b } = weightsOf("F32");
  const [first, second] = [await open({ b: b! }), await open({ w: w! })];
  const of = (name: string): Weights => (first.names.has(name) ? first : second);
  const sharded: Weights = {
    names: new Set([...second.names, ...first.names]),
    dims: (name) => of(name).dims(name),
    read: (name) => of(name).read(name),
    sample: (name, indices) => of(name).sample(name, indices),
  };
  const subject = { ...SUBJECT, names: ["b", "w", "b"], config: { width: 2, depth: 1 } };
  assertEquals(
    await fingerprint(sharded, subject),
    await fingerprint(await open(weightsOf("F32")), SUBJECT),
  );
});

Deno.test("fingerprint() leaves out tensors that are not named", async () => {
  const buffer = { pos_embed: { dims: [2], data: numbers(2) } };
  assertEquals(
    await fingerprint(await open({ ...weightsOf("F32"), ...buffer }), SUBJECT),
    await fingerprint(await open(weightsOf("F32")), SUBJECT),
  );
});

Deno.test("fingerprint() has one value for ever", async () => {
  const weights = await open({ x: { dims: [2, 2], data: Float32Array.of(1, -0, NaN, 0.5) } });
  assertEquals(
    await fingerprint(weights, {
      architecture: "dit",
      config: { b: [1, null], a: "é" },
      names: ["x"],
    }),
    "sha256:6f1c514ffa2b03b402eff97ef089edc21d8f8f7deab75f93630c80b936575c2e",
  );
});

Deno.test("fingerprint() changes with a weight that it samples, and only then", async () => {
  const before = await fingerprint(await open(weightsOf("F32")), SUBJECT);
  const sampled = numbers(LARGE);
  sampled[Math.floor(5 * LARGE / 64)]! += 1;
  assertNotEquals(before, await fingerprint(await open(weightsOf("F32", sampled)), SUBJECT));
  const between = numbers(LARGE);
  between[Math.floor(5 * LARGE / 64) + 1]! += 1;
  assertEquals(before, await fingerprint(await open(weightsOf("F32", between)), SUBJECT));
});

Deno.test("fingerprint() changes with architecture, config, names and shapes", async () => {
  const of = async (dims: readonly number[], name: string, subject: object): Promise<string> =>
    await fingerprint(await open({ [name]: { dims, data: numbers(4) } }), {
      architecture: "dit",
      config: {},
      names: [name],
      ...subject,
    });
  const all = await Promise.all([
    of([4], "x", {}),
    of([2, 2], "x", {}),
    of([4], "y", {}),
    of([4], "x", { architecture: "flux" }),
    of([4], "x", { config: { depth: 1 } }),
    of([4], "x", { config: { depth: "1" } }),
  ]);
  assertEquals(new Set(all).size, all.length);
});

Deno.test("fingerprint() names the tensor that is absent", async () => {
  const weights = await open({ b: { dims: [1], data: numbers(1) } });
  await assertRejects(() => fingerprint(weights, SUBJECT), AssetError, "tensor w must be there");
});
