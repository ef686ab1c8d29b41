import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { Dim } from "../../src/onnx/graph.ts";
import { productOf, sizeOf, sumOf } from "../../src/onnx/sizes.ts";

const NAMED = { N: 3, M: 5, T: 7, H: 11 };
const name = fc.constantFrom("N", "M", "T", "H");
const number = fc.integer({ min: 1, max: 9 });
const sum = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => sumOf(names));
const size: fc.Arbitrary<Dim> = fc.oneof(number, name, sum);
const sizes = fc.array(size, { minLength: 1, maxLength: 6 });

Deno.test("productOf() is one text for a product in any order and any grouping, and of its value", () => {
  fc.assert(fc.property(sizes, fc.nat(5), fc.infiniteStream(fc.nat()), (all, cut, keys) => {
    const product = productOf(all);
    const order = new Map(all.map((_, i) => [i, keys.next().value]));
    const shuffled = all.map((_, i) => i).sort((a, b) => order.get(a)! - order.get(b)!)
      .map((i) => all[i]!);
    assertEquals(productOf(shuffled), product);
    const grouped = [productOf(all.slice(0, cut)), productOf(all.slice(cut))];
    assertEquals(productOf(grouped), product);
    const value = all.reduce<number>((count, each) => count * sizeOf(each, NAMED), 1);
    assertEquals(sizeOf(product, NAMED), value);
  }));
});

Deno.test("sums and products read as they are written", () => {
  assertEquals(productOf([2, "H", 3]), "H*6");
  assertEquals(productOf(["M+T"]), "M+T");
  assertEquals(productOf(["N", "M+T", 16]), "(M+T)*N*16");
  assertEquals(productOf([]), 1);
  assertEquals([sumOf([2, 3]), sumOf(["M", 3])], [5, "M+3"]);
  assertEquals(sizeOf("(M+T)*N*16", NAMED), 12 * 3 * 16);
  assertEquals(sizeOf("M+3", NAMED), 8);
});

Deno.test("sums of products are refused, and names that are not known are no number", () => {
  assertThrows(() => sumOf(["H*W", 1]), RangeError, "a sum must be of names: current value is H*W");
  for (const unknown of ["W", "N*W", "N+W"]) assert(Number.isNaN(sizeOf(unknown, NAMED)));
});
