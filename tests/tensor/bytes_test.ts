import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { joinBytes } from "../../src/tensor/bytes.ts";

Deno.test("joinBytes() has all bytes of all parts in order, and copies them", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array()), (parts) => {
    const joined = joinBytes(parts);
    assertEquals([...joined], parts.flatMap((part) => [...part]));
    joined.fill(1);
    assertEquals([...joinBytes(parts)], parts.flatMap((part) => [...part]));
  }));
});
