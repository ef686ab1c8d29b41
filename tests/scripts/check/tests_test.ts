import { assertEquals } from "@std/assert";
import { testArguments } from "../../../scripts/check/tests.ts";

Deno.test("deno task test runs everything, or only the places that are named", () => {
  const places = (...words: string[]): readonly string[] =>
    testArguments(words).filter((word) => !word.startsWith("-")).slice(1);
  const everything = "mod.ts src examples plans scripts tests README.md CONTRIBUTING.md".split(" ");
  assertEquals(places(), everything); // the code in documents too
  assertEquals(places("tests/plan", "README.md"), ["tests/plan", "README.md"]);
  assertEquals(places("--filter=parse"), everything);
  assertEquals(testArguments(["tests/plan", "--fail-fast"]).slice(-2), [
    "tests/plan",
    "--fail-fast",
  ]);
});
