import { assertEquals, assertThrows } from "@std/assert";
import { openSafetensors, type Safetensors } from "../../../src/assets/formats/safetensors.ts";
import { encodeHeader, encodeSafetensors } from "../../../src/assets/formats/safetensors_writer.ts";
import { openMemory } from "../../../src/assets/source.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { file, ramp } from "../files.ts";

function open(bytes: Uint8Array): Promise<Safetensors> {
  return openSafetensors(openMemory(new Map([["f", bytes]])), "f");
}

Deno.test("encodeSafetensors() writes what openSafetensors() reads", async () => {
  const latents = { dims: [2, 3], data: ramp(6) };
  const opened = await open(file({
    half: { dtype: "F16", dims: [3], data: Float32Array.of(0.1, -2, 70_000) },
    label: { dtype: "I64", dims: [2], data: [-5, 2 ** 53 - 1] },
    latents,
    scalar: { dims: [], data: ramp(1) },
  }));
  assertEquals(await opened.readFloat32("latents"), latents);
  assertEquals(await opened.readFloat32("scalar"), { dims: [], data: ramp(1) });
  assertEquals(await opened.readIntegers("label"), [-5, 2 ** 53 - 1]);
  const half = await opened.readFloat32("half");
  assertEquals([...half.data], [0.0999755859375, -2, Infinity]); // the nearest float16 numbers
});

Deno.test("encodeSafetensors() aligns the first byte to 8, and every tensor to its elements", async () => {
  for (const name of ["a", "ab", "abc", "abcdefg", "é"]) {
    const opened = await open(file({
      [name]: { dtype: "F16", dims: [3], data: ramp(3) },
      f: { dims: [1], data: ramp(1) },
      z: { dtype: "I64", dims: [1], data: [1] },
    }));
    const begins = ["z", "f", name].map((tensor) => opened.tensors.get(tensor)!.begin);
    assertEquals([begins[0]! % 8, begins[1]! % 4, begins[2]! % 2], [0, 0, 0]);
    assertEquals(begins[1], begins[0]! + 8);
  }
});

Deno.test("encodeSafetensors() copies only the numbers of a view", async () => {
  const data = ramp(100).subarray(10, 12);
  const opened = await open(file({ x: { dims: [2], data } }));
  assertEquals((await opened.readFloat32("x")).data, Float32Array.from(data));
});

Deno.test("encodeSafetensors() writes metadata and gives one part for each tensor", () => {
  const tensors = new Map([["x", { dims: [2], data: ramp(2) }], ["y", {
    dims: [1],
    data: ramp(1),
  }]]);
  const [header, ...parts] = encodeSafetensors(tensors, { seed: "7" });
  assertEquals(parts.map((part) => part.length), [8, 4]);
  const json = JSON.parse(new TextDecoder().decode(header!.subarray(8)));
  assertEquals(json.__metadata__, { seed: "7" });
});

Deno.test("encodeSafetensors() refuses a shape that does not fit, before it gives a part", () => {
  const tensors = new Map([["x", { dims: [3], data: ramp(2) }]]);
  assertThrows(
    () => encodeSafetensors(tensors).next(),
    RangeError,
    "Cannot write x: it must have 3 numbers: current value is 2",
  );
});

Deno.test("encodeHeader() lays tensors out in the given order, for numbers that come later", async () => {
  const header = encodeHeader(
    new Map([["b", { dtype: "F16", dims: [2] }], ["a", {
      dtype: "F32",
      dims: [2],
    }]]),
  );
  const { tensors } = await open(joinBytes([header, new Uint8Array(12)]));
  assertEquals([...tensors.values()].map(({ begin, end }) => end - begin), [4, 8]);
});
