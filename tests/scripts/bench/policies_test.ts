import { assertEquals } from "@std/assert";
import { policyWord, WORDS } from "../../../scripts/bench/policies.ts";
import { choosePolicy, POLICIES } from "../../../src/calibrate/policies/table.ts";

Deno.test("the study of policies has every one that is made of runs, at settings that it takes", () => {
  const asked = Object.entries(WORDS)
    .flatMap(([series, settings]) => settings.map((words) => policyWord(series, words)));
  const chosen = asked.map((word) => choosePolicy(word, "measure").name);
  const recorded = Object.entries(POLICIES).flatMap(([name, { record }]) => record ? [name] : []);
  assertEquals(new Set(chosen), new Set(recorded));
  assertEquals(new Set(asked).size, asked.length);
});
