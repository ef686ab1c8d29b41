import { assertEquals } from "@std/assert";
import { testArguments } from "../../../scripts/check/tests.ts";

Deno.test("deno task test runs everything, or only the places that are named", () => {
  const everything = "mod.ts src examples plans scripts tests README.md CONTRIBUTING.md".split(" ");
  const waiting = ["tests/server/cluster", "tests/scripts/prove"];
  assertEquals(places(), [everything, waiting]); // the code in documents too
  assertEquals(places("tests/plan", "README.md"), [["tests/plan", "README.md"]]);
  assertEquals(places("--filter=parse"), [everything, waiting]);
  const [[...named] = []] = testArguments(["tests/plan", "--fail-fast"]);
  assertEquals(named.slice(-2), ["tests/plan", "--fail-fast"]);
});

Deno.test("what runs in a process beside the others is left out of theirs", () => {
  const [most = [], waiting = []] = testArguments(["--filter=parse"]);
  assertEquals(most.filter((word) => word.startsWith("--ignore")), [
    "--ignore=tests/server/cluster,tests/scripts/prove",
  ]);
  assertEquals([most, waiting].map((words) => words.includes("--filter=parse")), [true, true]);
});

function places(...words: string[]): readonly (readonly string[])[] {
  return testArguments(words).map((args) => args.filter((word) => !word.startsWith("-")).slice(1));
}
