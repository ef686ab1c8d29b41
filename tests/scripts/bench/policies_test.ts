import { assertEquals } from "@std/assert";
import {
  planWords,
  policyWord,
  ROUTED_WORDS,
  RUN_TIME_WORDS,
  SOLVER_WORDS,
  type Words,
} from "../../../scripts/bench/policies_settings.ts";
import { RUN_TIME_POLICIES } from "../../../src/engine/policies/table.ts";
import { choosePolicy, POLICIES } from "../../../src/calibrate/policies/table.ts";

Deno.test("the study of policies has every one that its models take, at settings that it takes, for either number of steps", () => {
  const others = ["odelt"]; // of models that were trained for it
  const namesOf = (way: "record" | "read") =>
    Object.entries(POLICIES).flatMap(([name, policy]) =>
      policy[way] && !others.includes(name) ? [name] : []
    );
  for (const steps of [50, 28]) {
    const asked = asWords(planWords(steps));
    const chosen = asked.map((word) => choosePolicy(word, "measure").name);
    assertEquals(new Set(chosen), new Set(namesOf("record")));
    assertEquals(new Set(asked).size, asked.length);
  }
  const routed = asWords(ROUTED_WORDS).map((word) => choosePolicy(word, "measure").name);
  const onlyRead = new Set(namesOf("read")).difference(new Set(namesOf("record")));
  assertEquals(new Set(routed), onlyRead);
});

function asWords(words: Words): readonly string[] {
  return Object.entries(words)
    .flatMap(([series, settings]) => settings.map((each) => policyWord(series, each)));
}

Deno.test("so are those that decide at run time, and forecasts under other solvers", () => {
  for (const [series, settings] of Object.entries(SOLVER_WORDS)) {
    for (const words of settings) choosePolicy(policyWord(series, words), "measure");
  }
  assertEquals(new Set(Object.keys(RUN_TIME_WORDS)), new Set(Object.keys(RUN_TIME_POLICIES)));
});
