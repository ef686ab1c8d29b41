import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PlanError } from "../../../src/errors.ts";
import { importCacheBook } from "../../../src/plan/cache_book/import.ts";
import { exportCacheBook } from "../../../src/plan/cache_book/export.ts";
import { compilePlan } from "../../../src/plan/compile.ts";
import { formatPlan } from "../../../src/plan/format.ts";
import { parsePlan } from "../../../src/plan/parse.ts";
import type { PlanSampler } from "../../../src/plan/plan.ts";
import { examplePlan, textsOf } from "../example_plans.ts";
import { publishedFluxFastPlan } from "../published_plans.ts";

const BOOKS: Readonly<Record<string, { readonly steps: number; readonly reused: number }>> = {
  "dit-a-published": { steps: 20, reused: 9 },
  "dit-a-layers": { steps: 20, reused: 4 },
  "fashion-dit-fast": { steps: 50, reused: 30 },
  "fashion-dit-slow": { steps: 50, reused: 29 },
  "fashion-dit-layers": { steps: 50, reused: 10 },
  "flux-a-published": { steps: 28, reused: 18 },
  "flux-a-layers": { steps: 28, reused: 5 },
};

// deno-lint-ignore no-explicit-any -- tests pick cells of parsed JSON by hand
function readBook(name: string): any {
  const file = new URL(`../../golden/books/${name}/cache_books.json`, import.meta.url);
  return JSON.parse(Deno.readTextFileSync(file));
}

function sampler(steps: number): PlanSampler {
  return { name: "ddim", times: Array.from({ length: steps }, (_, t) => steps - 1 - t) };
}

function refusal(book: unknown, steps: number = 2): string {
  return assertThrows(() => importCacheBook(book, sampler(steps)), PlanError).message;
}

for (const [name, { steps, reused }] of Object.entries(BOOKS)) {
  Deno.test(`importCacheBook() reads ${name} as a plan that compiles and is unbound`, () => {
    const plan = importCacheBook(readBook(name), sampler(steps));
    assertEquals(plan.fingerprints, []);
    assertEquals(plan.rows.filter(([row]) => row?.text === "=").length, reused);
    assertEquals(compilePlan(plan).steps.length, steps);
    assertEquals(parsePlan(formatPlan(plan)), plan);
  });

  Deno.test(`exportCacheBook() of the imported ${name} runs the same way`, () => {
    const plan = importCacheBook(readBook(name), sampler(steps));
    const book = JSON.parse(JSON.stringify(exportCacheBook(plan)));
    assertEquals(importCacheBook(book, sampler(steps)), plan);
    if (name !== "flux-a-layers") assertEquals(book, readBook(name));
  });
}

Deno.test("importCacheBook() reads cell by cell what a DiT book says of computed steps", () => {
  const book = readBook("dit-a-layers");
  const plan = importCacheBook(book, sampler(20));
  assertEquals(plan.modules.slice(0, 3), ["blocks.0.attn", "blocks.0.mlp", "blocks.1.attn"]);
  for (const [t, [row]] of textsOf(plan).entries()) {
    if (book.step_cache_book[t]) assertEquals(row, "=");
    else {
      for (let b = 0; b < 3; b++) {
        assertEquals(row![2 * b] === "r", book.msa_cache_book[t][b]);
        assertEquals(row![2 * b + 1] === "r", book.mlp_cache_book[t][b]);
      }
    }
  }
});

Deno.test("importCacheBook() reuses FLUX joint attention only where both of its masks agree", () => {
  const book = readBook("flux-a-layers");
  const plan = importCacheBook(book, sampler(28));
  assertEquals(plan.modules, [
    ...["transformer_blocks.0.attn", "transformer_blocks.0.ff", "transformer_blocks.0.context_ff"],
    ...["transformer_blocks.1.attn", "transformer_blocks.1.ff", "transformer_blocks.1.context_ff"],
    ...["single_transformer_blocks.0.attn", "single_transformer_blocks.0.mlp"],
    ...["single_transformer_blocks.1.attn", "single_transformer_blocks.1.mlp"],
    ...["single_transformer_blocks.2.attn", "single_transformer_blocks.2.mlp"],
  ]);
  const { attn, context_attn } = book.transformer_cache_book;
  let disagree = 0;
  for (const [t, [row]] of textsOf(plan).entries()) {
    for (const b of row === "=" ? [] : [0, 1]) {
      assertEquals(row![3 * b] === "r", attn[t][b] && context_attn[t][b]);
      disagree += attn[t][b] === context_attn[t][b] ? 0 : 1;
    }
  }
  assertEquals(disagree, 10); // as tests/golden/README.md says
});

Deno.test("importCacheBook() gives both Wan calls the same rows and computes row 0", () => {
  const mask = [[true], [false], [true]];
  const plan = importCacheBook({
    step_cache_bool: [true, true, false],
    module_cache_book: { self_attn: mask, cross_attn: mask, ffn: [[true], [true], [false]] },
  }, sampler(3));
  assertEquals(plan.slots, ["cond", "uncond"]);
  assertEquals(plan.modules, ["blocks.0.self_attn", "blocks.0.cross_attn", "blocks.0.ffn"]);
  assertEquals(textsOf(plan), [["...", "..."], ["=", "="], ["rr.", "rr."]]);
  assertEquals(compilePlan(plan).steps.length, 6);
});

Deno.test("importCacheBook() takes the other key of Wan's step mask", () => {
  const mask = [[false], [true]];
  const book = {
    step_cache_book: [false, false],
    module_cache_book: { self_attn: mask, cross_attn: mask, ffn: mask },
  };
  assertEquals(textsOf(importCacheBook(book, sampler(2)))[1], ["rrr", "rrr"]);
});

const dit = {
  step_cache_book: [false, false],
  msa_cache_book: [[false, false], [true, true]],
  mlp_cache_book: [[false, false], [true, false]],
};

Deno.test("importCacheBook() names mask, row and column of what is ragged, empty or not boolean", () => {
  assertEquals(textsOf(importCacheBook(dit, sampler(2))), [["...."], ["rrr."]]);
  assertStringIncludes(
    refusal({ ...dit, mlp_cache_book: [[false, false], [true]] }),
    "mlp_cache_book, row 1 must be 2 long: current value is 1",
  );
  assertStringIncludes(
    refusal({ ...dit, msa_cache_book: [[false, 0], [true, true]] }),
    "msa_cache_book, row 0, column 1 must be true or false: current value is 0",
  );
  assertStringIncludes(
    refusal({ ...dit, step_cache_book: [false, "no"] }),
    'step_cache_book, row 1 must be true or false: current value is "no"',
  );
  assertStringIncludes(
    refusal({ ...dit, msa_cache_book: [[], []] }),
    "msa_cache_book, row 0 must be a list that is not empty",
  );
  assertStringIncludes(refusal({ ...dit, mlp_cache_book: [] }), "mlp_cache_book must be a list");
  assertStringIncludes(refusal(dit, 3), "step_cache_book must be 3 long (one per time)");
  assertStringIncludes(
    refusal({ ...dit, mlp_cache_book: dit.mlp_cache_book.slice(1) }),
    "mlp_cache_book must be 2 rows long: current value is 1",
  );
});

Deno.test("importCacheBook() refuses layouts and keys that it does not know", () => {
  assertStringIncludes(refusal(null), "book must be an object: current value is null");
  assertStringIncludes(refusal([dit]), "book must be an object");
  assertStringIncludes(refusal({}), "book must be of the DiT, FLUX or Wan layout");
  assertStringIncludes(
    refusal({ ...dit, cache_version: 2 }),
    'unknown keys: current value is "cache_v',
  );
  const { step_cache_book: _, ...stepless } = dit;
  assertStringIncludes(refusal(stepless), "step_cache_book must be a list that is not empty");
});

Deno.test("importCacheBook() refuses an ip_attn mask that is not that of attn", () => {
  const book = readBook("flux-a-layers");
  delete book.transformer_cache_book.ip_attn;
  assertEquals(importCacheBook(book, sampler(28)).modules.length, 12);
  book.transformer_cache_book.ip_attn = book.transformer_cache_book.ff;
  assertStringIncludes(refusal(book, 28), "transformer_cache_book.ip_attn must be absent or equal");
});

Deno.test("importCacheBook() reads any JSON or throws a PlanError", () => {
  fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (a, b, c) => {
    refusal(a);
    refusal({ step_cache_book: a, msa_cache_book: b, mlp_cache_book: c, x: 0 });
    refusal({ step_cache_book: a, transformer_cache_book: b, single_transformer_cache_book: c });
  }));
});

Deno.test("exportCacheBook() writes any legal DiT plan so that it imports with the same rows", () => {
  const row = fc.oneof(fc.constant("="), fc.stringMatching(/^[.r]{4}$/));
  fc.assert(fc.property(fc.array(row, { maxLength: 9 }), (rows) => {
    const plan = examplePlan(["....", ...rows]);
    assertEquals(importCacheBook(exportCacheBook(plan), plan.sampler).rows, plan.rows);
  }));
});

Deno.test("exportCacheBook() writes FLUX plans with three equal masks of joint attention", () => {
  const plan = publishedFluxFastPlan();
  const book = JSON.parse(JSON.stringify(exportCacheBook(plan)));
  const { attn, context_attn, ip_attn } = book.transformer_cache_book;
  assertEquals([context_attn, ip_attn], [attn, attn]);
  assertEquals(importCacheBook(book, plan.sampler).rows, plan.rows);
  assertEquals(importCacheBook(book, plan.sampler).modules, plan.modules);
});

Deno.test("exportCacheBook() refuses what a book cannot say, by name", () => {
  const refused = (changes: Parameters<typeof examplePlan>[1], message: string) =>
    assertThrows(
      () => exportCacheBook(examplePlan(["..", "="], changes)),
      PlanError,
      message,
    );
  refused(
    { rows: [[".."], ["+"]] },
    'step 1 must be "=" or marks "." and "r" of modules: current value is "+"',
  );
  refused({ version: 2 }, "version must be 1: a book has no times of its own: current value is 2");
  refused({ architecture: "wan" }, "architecture must be dit or flux: current value is wan");
  refused({ slots: ["a", "b"] }, "slots must be one: current value is 2");
  refused({ modules: ["blocks.0.mlp", "blocks.0.attn"] }, "module 0 must be blocks.0.attn");
  refused({ modules: ["blocks.0.attn", "other"] }, "module 1 must be blocks.0.mlp");
});
