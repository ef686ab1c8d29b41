import { assertEquals } from "@std/assert";
import { loadPlan } from "../../src/engine/bundled_plans.ts";
import { planShape } from "../../src/page/plan_shape.ts";
import { factsOf } from "../../src/cli/plan_facts.ts";
import { compilePlan } from "../../src/plan/compile.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { renderSvg } from "../../src/plan/render/svg.ts";
import { commonKind, countKinds, countWords, kindOf } from "../../src/plan/step_counts.ts";

Deno.test("a step of the trunk that runs no module counts as reused, in library, command, page and picture", () => {
  const name = "fashion-dit.ddim50.fast"; // has rows of `r` alone
  const plan = loadPlan(name);
  const { steps } = compilePlan(plan);
  const idle = steps.filter((step) =>
    step.kind === "mixed" && step.actions.every(({ kind }) => kind !== "run")
  );
  assertEquals(idle.length > 0, true);
  const counts = countKinds(steps.map(kindOf));
  const { full, mixed, reuse } = counts;
  assertEquals(full + mixed + reuse, 50);
  assertEquals(countKinds(planShape(JSON.parse(formatPlan(plan))).kinds), counts);
  const said = /^steps +50: (.*)$/m.exec(factsOf({ name, plan }))?.[1];
  assertEquals(said, countWords(counts));
  const drawn = /<desc>Slot joint: (.*?)\./.exec(renderSvg(plan))?.[1];
  const words = `${reuse} steps are reused, ${full} run every module, ${mixed} reuse some modules`;
  assertEquals(drawn, words);
});

Deno.test("countWords() names forecast steps where there are any", () => {
  assertEquals(
    countWords(countKinds(["full", "mixed", "reuse", "full"])),
    "2 full, 1 mixed, 1 reused",
  );
  assertEquals(countWords(countKinds(["forecast"])), "0 full, 0 mixed, 0 reused, 1 forecast");
});

Deno.test("a step whose pictures do different things is mixed, else it is what all of them do", () => {
  assertEquals(commonKind(["reuse", "reuse"]), "reuse");
  assertEquals(commonKind(["full"]), "full");
  assertEquals(commonKind(["full", "forecast", "full"]), "mixed");
});
