import { assertEquals } from "@std/assert";
import { Shelf } from "../../src/server/shelf.ts";

Deno.test("a shelf keeps so many things for so long", () => {
  let now = 0;
  const shelf = new Shelf<string>({ most: 2, seconds: 10, now: () => now });
  shelf.put("a", "A");
  now = 4000;
  shelf.put("b", "B");
  shelf.put("c", "C");
  assertEquals([shelf.get("a"), shelf.get("b"), shelf.get("c")], [undefined, "B", "C"]);
  now = 9000;
  shelf.put("b", "B2"); // newer than c now
  now = 14_000;
  assertEquals([shelf.get("b"), shelf.get("c"), shelf.size], ["B2", undefined, 1]);
  now = 19_000;
  assertEquals([shelf.get("b"), shelf.size], [undefined, 0]);
});
