import { assertEquals } from "@std/assert";
import {
  policyWord,
  RUN_TIME_WORDS,
  SOLVER_WORDS,
  WORDS,
} from "../../../scripts/bench/policies_study.ts";
import { RUN_TIME_POLICIES } from "../../../src/engine/policies/table.ts";
import { choosePolicy, POLICIES } from "../../../src/calibrate/policies/table.ts";

Deno.test("the study of policies has every one that is made of runs, at settings that it takes", () => {
  const asked = Object.entries(WORDS)
    .flatMap(([series, settings]) => settings.map((words) => policyWord(series, words)));
  const chosen = asked.map((word) => choosePolicy(word, "measure").name);
  const recorded = Object.entries(POLICIES).flatMap(([name, { record }]) => record ? [name] : []);
  assertEquals(new Set(chosen), new Set(recorded));
  assertEquals(new Set(asked).size, asked.length);
});

Deno.test("so are those that decide at run time, and forecasts under other solvers", () => {
  for (const [series, settings] of Object.entries(SOLVER_WORDS)) {
    for (const words of settings) choosePolicy(policyWord(series, words), "measure");
  }
  assertEquals(new Set(Object.keys(RUN_TIME_WORDS)), new Set(Object.keys(RUN_TIME_POLICIES)));
});
