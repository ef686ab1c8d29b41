import { assert, assertEquals, assertThrows } from "@std/assert";
import { resolveLabel, resolvePictures } from "../../src/engine/request_pictures.ts";
import type { Model } from "../../src/model/model.ts";
import type { Scene } from "../../src/model/scene.ts";

/** A model as far as labels look at it. */
const MODEL = { classes: 3, classNames: ["T-shirt/top", "Bag", "7"] } as unknown as Model;

Deno.test("resolveLabel() finds names in any letter case, names that look like numbers before indices", () => {
  assertEquals(["BAG", " bag ", "t-shirt/TOP"].map((name) => resolveLabel(MODEL, name)), [1, 1, 0]);
  assertEquals(["7", "1", 1].map((label) => resolveLabel(MODEL, label)), [2, 1, 1]);
  for (const label of ["", " ", "Shoe", "1.5", "1e0", "0x1", "-0", "3", "NaN", NaN]) {
    assertThrows(() => resolveLabel(MODEL, label), RangeError, `current value is ${label}`);
  }
});

Deno.test("resolveLabel() takes the class of this whole name before one that has it among others", () => {
  const model = { ...MODEL, classNames: ["a dog, a cat", "a cat", "a cat, asleep"] };
  assertEquals(["a cat", "a dog", "asleep"].map((name) => resolveLabel(model, name)), [1, 0, 2]);
});

Deno.test("resolveLabel() names the nearest of a thousand classes, not all", () => {
  const classNames = Array.from({ length: 1000 }, (_, i) => `thing ${i}, Res ${i}`);
  const model = { ...MODEL, classes: 1000, classNames };
  const error = assertThrows(() => resolveLabel(model, "thing 12x"), RangeError);
  assert(error.message.includes("one of 1000 names such as thing 12, Res 12, "), error.message);
  assert(error.message.length < 300, error.message);
});

Deno.test("resolvePictures() makes no more noise than 2 GiB, and says how many pictures that is", () => {
  const scene = { latentDims: [4, 512, 512] } as unknown as Scene; // nothing else is looked at
  for (const [count, most] of [[513, 512], [100_000, 512], [100_001, 100_000]]) {
    const message = `count must be an integer in 1 … ${most}: current value is ${count}`;
    assertThrows(() => resolvePictures(MODEL, scene, { label: 0, count }), RangeError, message);
  }
  const { noise } = resolvePictures(MODEL, scene, { label: 0 });
  assertEquals(noise.dims, [1, 4, 512, 512]);
});
