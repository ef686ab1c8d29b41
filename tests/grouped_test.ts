import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { grouped } from "../src/grouped.ts";

Deno.test("grouped() is what Map.groupBy() is, in the same order", () => {
  fc.assert(fc.property(fc.array(fc.nat(40)), (numbers) => {
    const keyOf = (value: number): number => value % 7;
    assertEquals([...grouped(numbers, keyOf)], [...Map.groupBy(numbers, keyOf)]);
  }));
});
