import { assertEquals } from "@std/assert";
import { findOversize, formatBuild } from "../../../scripts/build/edge.ts";

const MIB = 2 ** 20;

Deno.test("findOversize() names a script and assets above the host's limits", () => {
  const fits = { scriptGz: { a: 4 * MIB, b: 6 * MIB }, assets: { c: 25 * MIB } };
  assertEquals(findOversize(fits), []);
  const large = {
    scriptGz: { a: 4 * MIB, b: 6 * MIB + 9999 },
    assets: { c: 25 * MIB + 9999, d: 1 },
  };
  assertEquals(findOversize(large), [
    "script must be <= 10.00 MiB gzipped: current value is 10.01 MiB",
    "asset c must be <= 25.00 MiB: current value is 25.01 MiB",
  ]);
});

Deno.test("formatBuild() says each module's size, their sum and the largest asset's", () => {
  const lines = formatBuild({ scriptGz: { a: MIB, b: 2 * MIB }, assets: { c: MIB, d: 3 * MIB } });
  assertEquals(lines.split("\n"), [
    "1.00 MiB gzipped  a",
    "2.00 MiB gzipped  b",
    "3.00 MiB gzipped  in all, limit 10.00 MiB",
    "4.00 MiB in 2 assets, the largest 3.00 MiB, limit 25.00 MiB",
  ]);
});
