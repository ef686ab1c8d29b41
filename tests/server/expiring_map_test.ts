import { assertEquals } from "@std/assert";
import { ExpiringMap } from "../../src/server/expiring_map.ts";

Deno.test("a map keeps so many things for so long", () => {
  let now = 0;
  const map = new ExpiringMap<string>({ most: 2, seconds: 10, now: () => now });
  map.set("a", "A");
  now = 4000;
  map.set("b", "B");
  map.set("c", "C");
  assertEquals([map.get("a"), map.get("b"), map.get("c")], [undefined, "B", "C"]);
  now = 9000;
  map.set("b", "B2"); // newer than c now
  now = 14_000;
  assertEquals([map.get("b"), map.get("c"), map.size], ["B2", undefined, 1]);
  now = 19_000;
  assertEquals([map.get("b"), map.size], [undefined, 0]);
});
