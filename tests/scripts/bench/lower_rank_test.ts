import { assertEquals } from "@std/assert";
import { lowerRank } from "../../../scripts/bench/lower_rank.ts";

Deno.test("the interval of a median is that of the tables of order statistics", () => {
  // Ranks from 1 of the 95 % interval: 6 → 1, 9 → 2, 15 → 4, 20 → 6, 25 → 8.
  assertEquals([6, 9, 15, 20, 25].map((n) => lowerRank(n) + 1), [1, 2, 4, 6, 8]);
});
