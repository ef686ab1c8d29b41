import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type TokenQuestion, TokenRecord } from "../../../src/engine/segment/token_record.ts";
import { BY_AGE, type TokenScore } from "../../../src/plan/columns.ts";

/** A question about tokens of one row that none of them is attended to. */
function question(given: Partial<TokenQuestion>): TokenQuestion {
  return {
    ...{ rows: 1, tokens: 6, count: 2, score: BY_AGE },
    attention: { name: "attn", first: 0 },
    ...given,
  };
}

Deno.test("by age alone tokens take turns, and all begin anew after a full run", () => {
  const record = new TokenRecord();
  const next = () => record.choose("mlp", question({}))[0];
  assertEquals([next(), next(), next(), next()], [[0, 1], [2, 3], [4, 5], [0, 1]]);
  record.renew("mlp");
  assertEquals([next(), record.choose("other", question({}))[0]], [[0, 1], [0, 1]]);
});

Deno.test("a call that computes no token makes all older, and one that computes all makes none older", () => {
  const record = new TokenRecord();
  const score: TokenScore = { attention: 1, age: 1, bonus: 0, cell: 1 };
  record.attend("attn", { dims: [1, 6], data: Float32Array.of(0, 0, 0, 0, 0, 1) });
  const next = (count: number) => record.choose("mlp", question({ count, score }))[0];
  assertEquals([next(0), next(1), next(1)], [[], [5], [0]]); // token 5 is attended to, then others are older
  assertEquals([next(6), next(1)], [[0, 1, 2, 3, 4, 5], [5]]);
});

Deno.test("the attention of a module's own tokens counts, which may begin after others", () => {
  const record = new TokenRecord();
  const score: TokenScore = { attention: 1, age: 0, bonus: 0, cell: 1 };
  const data = Float32Array.of(9, 9, 1, 2, 3, /* the other row: */ 9, 9, 3, 2, 1);
  record.attend("attn", { dims: [2, 5], data });
  const attention = { name: "attn", first: 2 };
  const asked = question({ rows: 2, tokens: 3, count: 1, score, attention });
  assertEquals(record.choose("mlp", asked), [[2], [0]]);
});

Deno.test("in each cell of the picture the best token gains, edges that are no whole cells among them", () => {
  const score: TokenScore = { attention: 1, age: 0, bonus: 10, cell: 2 };
  // One token that is none of the picture's, then three rows of three.
  const data = Float32Array.of(3, /**/ 4, 5, 1, /**/ 6, 2, 3, /**/ 1, 2, 0.5);
  const record = new TokenRecord();
  record.attend("attn", { dims: [1, 10], data });
  const picture = { first: 1, grid: [3, 3] } as const;
  const asked = question({ tokens: 10, count: 4, score, picture });
  // Best of cells: 6; 3 at the right; 2 below; 0.5 in the corner, which gains too and stands above the 5 that does not.
  assertEquals(record.choose("mlp", asked), [[4, 6, 8, 9]]);
  const { picture: _, ...others } = asked;
  assertEquals(record.choose("mlp", others), [[0, 1, 2, 4]]);
});

Deno.test("any choice is of as many tokens as are asked for, the best ones, and each row's own", () => {
  const cases = fc.record({
    rows: fc.integer({ min: 1, max: 3 }),
    tokens: fc.integer({ min: 1, max: 12 }),
    calls: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 }),
    sums: fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 36, maxLength: 36 }),
    age: fc.integer({ min: 0, max: 4 }).map((eighths) => eighths / 8),
  });
  fc.assert(fc.property(cases, ({ rows, tokens, calls, sums, age }) => {
    const record = new TokenRecord();
    const data = Float32Array.from(sums.slice(0, rows * tokens));
    record.attend("attn", { dims: [rows, tokens], data });
    const ages = Array.from({ length: rows }, () => new Array<number>(tokens).fill(0));
    for (const share of calls) {
      const count = Math.floor(share * tokens);
      const score = { attention: 1, age, bonus: 0, cell: 1 };
      const chosen = record.choose("mlp", question({ rows, tokens, count, score }));
      for (const [row, list] of chosen.entries()) {
        assertEquals([list.length, new Set(list).size], [count, count]);
        const own = data.subarray(row * tokens, (row + 1) * tokens);
        const length = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0));
        const scores = [...own].map((x, t) => x / length + age * ages[row]![t]!);
        const least = Math.min(Infinity, ...list.map((t) => scores[t]!));
        const passed = scores.filter((_, t) => !list.includes(t));
        assertEquals(passed.some((other) => other > least + 1e-6), false); // own are rounded to float32
        ages[row] = ages[row]!.map((old, t) => list.includes(t) ? 0 : old + 1);
      }
    }
  }));
});
