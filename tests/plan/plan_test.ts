import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PlanError } from "../../src/errors.ts";
import { formatPlan } from "../../src/plan/format.ts";
import { parsePlan, planFromJson } from "../../src/plan/parse.ts";
import { planJsonSchema } from "../../src/plan/plan_schema.ts";
import { anyPlan, examplePlan, textsOf } from "./example_plans.ts";

const canonical = `{
  "version": 1,
  "architecture": "dit",
  "fingerprints": ["sha256:0a"],
  "modules": [
    "blocks.0.attn", "blocks.0.mlp",
    "blocks.1.attn", "blocks.1.mlp"
  ],
  "sampler": {
    "name": "ddim",
    "times": [750, 500, 250, 0]
  },
  "slots": ["cond", "uncond"],
  "rows": [
    "....",
    ["=", "+"],
    "r..r",
    ["....", "rrrr"]
  ],
  "context": { "guidance": 4, "tokenGrid": [16, 16], "precision": "float32" },
  "policy": {
    "name": "invardiff",
    "parameters": { "quantile.attn": 0.2, "quantile.step": 0.61 }
  },
  "calibration": {
    "mode": "reference",
    "conditions": [207, "a cat"],
    "seeds": [42],
    "thresholds": { "phase2.step": 1.25 }
  },
  "measured": {
    "command": "deno task compare",
    "machine": "2 cores",
    "values": { "psnrDb": 34.5, "speedup": 2.45 }
  }
}
`;

/** The canonical file with one field replaced, as text. */
function fileWith(changes: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...JSON.parse(canonical), ...changes });
}

function refusal(text: string): string {
  return assertThrows(() => parsePlan(text), PlanError).message;
}

Deno.test("formatPlan() gives back canonical text byte for byte", () => {
  assertEquals(formatPlan(parsePlan(canonical)), canonical);
});

Deno.test("formatPlan() then parsePlan() gives back any plan, and the text is canonical", () => {
  fc.assert(fc.property(anyPlan, (plan) => {
    const text = formatPlan(plan);
    assertEquals(parsePlan(text), plan);
    assertEquals(formatPlan(parsePlan(text)), text);
  }));
});

Deno.test("formatPlan() writes the same bytes whatever the order of keys in the file", () => {
  const reversed = Object.fromEntries(Object.entries(JSON.parse(canonical)).reverse());
  assertEquals(formatPlan(parsePlan(JSON.stringify(reversed))), canonical);
});

Deno.test("parsePlan() takes one joint slot and an empty context where the file has none", () => {
  const { slots: _, context: __, ...file } = JSON.parse(canonical);
  const plan = parsePlan(JSON.stringify({ ...file, rows: ["....", "=", "+", "r..r"] }));
  assertEquals(plan.slots, ["joint"]);
  assertEquals(textsOf(plan), [["...."], ["="], ["+"], ["r..r"]]);
  assertEquals(plan.context, {});
});

Deno.test("parsePlan() refuses text that is malformed, truncated or longer than 4 MB", () => {
  assertStringIncludes(refusal("plan"), "its text must be JSON");
  assertStringIncludes(refusal(canonical.slice(0, -9)), "its text must be JSON");
  assertStringIncludes(refusal(" ".repeat(4_000_001)), "at most 4000000 characters");
  assertStringIncludes(refusal("[]"), "file must be of type object");
  assertStringIncludes(refusal("null"), "file must be of type object");
});

Deno.test("parsePlan() refuses other versions", () => {
  assertStringIncludes(
    refusal(fileWith({ version: 3 })),
    "version must be 1 or 2: current value is 3",
  );
  assertStringIncludes(refusal("{}"), "version must be 1 or 2: current value is absent");
});

Deno.test("parsePlan() refuses unknown keys at every level, and names them", () => {
  assertStringIncludes(refusal(fileWith({ sampler: { name: "ddim", times: [0], x: 1 } })), '["x"]');
  assertStringIncludes(refusal(fileWith({ surprise: 1 })), "surprise");
  assertStringIncludes(refusal(canonical.replace("{", '{ "__proto__": {},')), "__proto__");
});

Deno.test("parsePlan() refuses in version 1 what version 2 brought", () => {
  assertStringIncludes(refusal(fileWith({ columns: {} })), "columns must be absent in version 1");
  const reference = { sampler: "ddim", steps: 50 };
  assertStringIncludes(refusal(fileWith({ reference })), "reference must be absent in version 1");
});

Deno.test("parsePlan() wants falling times in version 2", () => {
  const timed = (...times: readonly number[]): string =>
    fileWith({ version: 2, sampler: { name: "ddim", times } });
  assertEquals(parsePlan(timed(999, 500.25, 12, 0)).sampler.times, [999, 500.25, 12, 0]);
  assertStringIncludes(
    refusal(timed(999, 500, 500, 0)),
    "time of step 2 must be below that of the step before (500): current value is 500",
  );
});

Deno.test("parsePlan() refuses weights that cannot be followed, and names step and column", () => {
  const file = { version: 2, slots: ["joint"], rows: ["....", "....", "....", "...."] };
  const weighed = (...update: unknown[]): string => fileWith({ ...file, columns: { update } });
  const good = [[0.5, -1], [0.5, -1, 0.5], null, [1, 1, 1, 1, 1]];
  assertEquals(parsePlan(weighed(...good)).columns, { update: good as number[][] });
  const changed = (step: number, weights: unknown): string =>
    refusal(weighed(...good.with(step, weights as number[])));
  assertStringIncludes(refusal(weighed([1, 1])), "column update must be 4 long");
  assertStringIncludes(
    changed(0, [1, 1, 1]),
    "step 0, column update must be weights of the latent and 1 outputs, for no more are there: " +
      "current value is 2",
  );
  assertStringIncludes(changed(1, [1]), "step 1, column update must be 2 … 9 weights");
  assertStringIncludes(changed(3, new Array(10).fill(1)), "step 3, column update must be 2 … 9");
  assertStringIncludes(
    changed(2, [1, 1000.5]),
    "step 2, column update must be numbers of at most 1000 either way: current value is 1000.5",
  );
  assertStringIncludes(changed(2, [1, "1"]), "columns.update[2] must be numbers or null");
  assertStringIncludes(changed(2, 1), "columns.update[2] must be numbers or null");
  const infinite = assertThrows(() => {
    const update = [[1, NaN], null, null, null];
    planFromJson({ ...JSON.parse(fileWith(file)), columns: { update } });
  }, PlanError);
  assertStringIncludes(infinite.message, "columns.update[0] must be numbers or null");
  const slots = { ...file, slots: ["cond", "uncond"], columns: { update: good } };
  assertStringIncludes(refusal(fileWith(slots)), "slots must be one where there are columns");
});

Deno.test("parsePlan() wants weights of a forecast at each step that calls no model, and nowhere else", () => {
  const file = { version: 2, slots: ["joint"], rows: ["....", "~", "....", "~"] };
  const forecast = (...column: unknown[]): string =>
    fileWith({ ...file, columns: { forecast: column } });
  const read = parsePlan(forecast(null, [0, 1], null, [0.5, 2, -1]));
  assertEquals(textsOf(read), [["...."], ["~"], ["...."], ["~"]]);
  assertEquals(read.columns?.forecast?.[3], [0.5, 2, -1]);
  assertStringIncludes(
    refusal(fileWith(file)),
    'step 1, column forecast must be weights at a step "~"',
  );
  assertStringIncludes(
    refusal(forecast(null, [0, 1], [0, 1], [0, 1])),
    'step 2, column forecast must be null but at a step "~": current value is [0,1]',
  );
  assertStringIncludes(
    refusal(forecast(null, [0, 1, 1], null, [0, 1])),
    "step 1, column forecast must be weights of the latent and 1 outputs, for no more are there: " +
      "current value is 2",
  );
  const update = [null, [1, 1, 1], null, null];
  assertStringIncludes(
    refusal(fileWith({ ...file, columns: { update, forecast: [null, [0, 1], null, [0, 1]] } })),
    "step 1, column update must be weights of the latent and 1 outputs",
  );
  const early = { ...file, rows: ["~", "....", "....", "...."] };
  const column = [[0, 1], null, null, null];
  assertStringIncludes(
    refusal(fileWith({ ...early, columns: { forecast: column } })),
    "step 0, column forecast must be weights of the latent and 0 outputs",
  );
});

Deno.test("parsePlan() wants weights of features at each step with forecast cells, and nowhere else", () => {
  const file = { version: 2, slots: ["joint"], rows: ["....", "..r.", ".x.x", "r..x"] };
  const featured = (...features: unknown[]): string => fileWith({ ...file, columns: { features } });
  const good = [null, null, [[1.5, -0.5], [2, -1]], [[0.5, 0.25]]];
  assertEquals(parsePlan(featured(...good)).columns, { features: good });
  const changed = (step: number, lists: unknown): string =>
    refusal(featured(...good.with(step, lists as number[][])));
  const at = (step: number): string => `step ${step}, column features`;
  for (
    const [message, complaint] of [
      [refusal(fileWith(file)), `${at(2)} must be weights at a step with cells "x"`],
      [
        changed(2, null),
        `${at(2)} must be weights at a step with cells "x": current value is null`,
      ],
      [
        changed(1, [[1]]),
        `${at(1)} must be null but at a step with cells "x": current value is [[1]]`,
      ],
      [
        changed(2, [[1], [1], [1]]),
        `${at(2)} must be one list of weights, or one for each of 2 cells`,
      ],
      [changed(2, []), `${at(2)} must be one list of weights, or one for each of 2 cells "x"`],
      [changed(3, [[]]), `${at(3)}, list 0 must be 1 … 8 weights: current value is 0`],
      [changed(3, [new Array(9).fill(0)]), `${at(3)}, list 0 must be 1 … 8 weights`],
      [changed(2, [[1], [-1001]]), `${at(2)}, list 1 must be numbers of at most 1000 either way`],
      [refusal(featured(null)), "column features must be 4 long (one entry for each step)"],
      [changed(2, [1, 2]), "columns.features[2] must be lists of numbers or null"],
      [changed(2, [["1"]]), "columns.features[2] must be lists of numbers or null"],
      [
        changed(2, [[1, 1, 1]]),
        "step 2 (slot joint), module blocks.0.mlp must be computed, for only 2 of what it loads is",
      ],
    ] as const
  ) assertStringIncludes(message, complaint);
  const early = { ...file, rows: ["x...", "....", "....", "...."] };
  const columns = { features: [[[1]], null, null, null] };
  assertStringIncludes(
    refusal(fileWith({ ...early, columns })),
    "step 0 (slot joint), module blocks.0.attn must be computed, for nothing is stored",
  );
  const slots = { ...file, slots: ["cond", "uncond"], columns: { features: good } };
  assertStringIncludes(refusal(fileWith(slots)), "slots must be one where there are columns");
});

Deno.test("parsePlan() names the field that is absent, of another type or out of range", () => {
  assertStringIncludes(refusal(fileWith({ policy: undefined })), "policy must be of type object");
  assertStringIncludes(
    refusal(fileWith({ sampler: { name: "ddim", times: [750, "500"] } })),
    'sampler.times[1] must be of type number: current value is "500"',
  );
  assertStringIncludes(
    refusal(fileWith({ sampler: { name: "ddim", times: [-1] } })),
    "sampler.times[0] must be at least 0",
  );
  assertStringIncludes(refusal(fileWith({ rows: [] })), "rows must be at least 1 long");
  assertStringIncludes(
    refusal(fileWith({ rows: [7] })),
    "rows[0] must be a string or a list of strings: current value is 7",
  );
  assertStringIncludes(
    refusal(fileWith({ architecture: "\x1b[31m" })),
    "architecture must be a name",
  );
  assertStringIncludes(refusal(canonical.replace("34.5", "1e999")), "must be of type number");
});

Deno.test("parsePlan() names step, slot and module of a mark that is unknown, or not of version 1", () => {
  const rows = (row: string) => fileWith({ rows: ["....", row, "=", "="] });
  assertStringIncludes(refusal(rows("..#.")), "step 1 (slot cond), module blocks.1.attn must be");
  for (const row of ["~", ".x..", ".p..", "..--"]) {
    assertStringIncludes(
      refusal(rows(row)),
      `step 1 must be without forecasts, partial cells and what is left out in version 1: current value is "${row}"`,
    );
  }
  assertStringIncludes(refusal(rows(".=..")), 'must be "." or "r" or "x"');
  assertStringIncludes(refusal(rows(".=..")), 'current value is "="');
});

Deno.test("parsePlan() names the step whose row has the wrong length", () => {
  assertStringIncludes(
    refusal(fileWith({ rows: ["....", "...", "=", "="] })),
    'step 1 (slot cond) must be "=", "+", "~" or one mark for each of 4 modules: ' +
      "current value is 3 marks",
  );
});

Deno.test("parsePlan() wants one row per time of the sampler and per slot", () => {
  assertStringIncludes(refusal(fileWith({ rows: ["...."] })), "rows must be 4");
  assertStringIncludes(
    refusal(fileWith({ rows: ["....", ["="], "=", "="] })),
    "step 1 must have 2 rows (one per slot): current value is 1",
  );
});

Deno.test("parsePlan() refuses a first step that reuses, and names step, slot and what is loaded", () => {
  const first = (row: unknown) => refusal(fileWith({ rows: [row, "....", "=", "="] }));
  assertStringIncludes(
    first("="),
    "step 0 (slot cond), hidden state must be computed, for nothing is",
  );
  assertStringIncludes(
    first(["....", "+"]),
    "step 0 (slot uncond), trunk residual must be computed",
  );
  assertStringIncludes(first(".r.."), "step 0 (slot cond), module blocks.0.mlp must be computed");
});

Deno.test("parsePlan() refuses names that occur twice", () => {
  assertStringIncludes(refusal(fileWith({ slots: ["a", "a"] })), "slots must be distinct");
  assertStringIncludes(
    refusal(fileWith({ modules: ["a", "b", "c", "b"] })),
    'modules must be distinct: current value is "b" twice',
  );
});

Deno.test("parsePlan() either reads any text or throws a PlanError", () => {
  const cuts = fc.tuple(fc.nat(canonical.length), fc.nat(9), fc.string({ maxLength: 4 }));
  fc.assert(fc.property(cuts, ([at, length, patch]) => {
    const text = canonical.slice(0, at) + patch + canonical.slice(at + length);
    try {
      parsePlan(text);
    } catch (error) {
      assert(error instanceof PlanError, `${error}`);
    }
  }));
});

Deno.test("a plan of 50 steps and 24 modules is smaller than 4 kB", () => {
  const rows = Array.from({ length: 50 }, () => ".".repeat(24));
  assert(formatPlan(examplePlan(rows)).length < 4000);
});

Deno.test("plans/plan.schema.json is what scripts/make/plan_schema.ts writes", async () => {
  const file = new URL("../../plans/plan.schema.json", import.meta.url);
  assertEquals(await Deno.readTextFile(file), planJsonSchema());
});
