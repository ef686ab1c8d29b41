import fc from "fast-check";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  rivalsOf,
  solverVariants,
  type Variant,
  variantKey,
} from "../../../scripts/bench/rivals.ts";
import { type Found, tradeOffFigure } from "../../../scripts/bench/trade_off_figure.ts";
import {
  gainRows,
  gainsTable,
  replaceSection,
  rivalOf,
  rivalTable,
  sharesText,
  tradeOffTable,
} from "../../../scripts/bench/trade_off_report.ts";
import { groupsOf, timeVariants } from "../../../scripts/bench/trade_off_speeds.ts";
import { bestOfEach } from "../../../scripts/bench/trade_off_study.ts";
import type { Generated } from "../../../src/engine/generated.ts";
import { chooseSampler } from "../../../src/sampler/choose_sampler.ts";
import { makeSampler } from "../../../src/sampler/solvers.ts";

const NOISE = { sampler: { name: "ddim", steps: 50, guidance: 2 } } as const;
const FLOW = { sampler: { name: "flow-euler", steps: 28, guidance: 3 } } as const;

Deno.test("every rival is a solver that a model of its kind can be sampled by, in so many calls", () => {
  for (const model of [NOISE, FLOW]) {
    const rivals = rivalsOf(model, [25, 10]);
    assert(rivals.length >= 30);
    for (const { sampler, steps, speedup, sigmas } of rivals) {
      const chosen = chooseSampler(model.sampler, sampler!); // each names one
      assertEquals(makeSampler(chosen, { steps, sigmas, tokens: 256 }).times.length, steps);
      assertEquals(speedup, model.sampler.steps / steps);
    }
    assertEquals(new Set(rivals.map(variantKey)).size, rivals.length);
  }
});

Deno.test("sigmas of every spread begin with noise alone and fall", () => {
  const spread = rivalsOf(FLOW, [9]).flatMap(({ sigmas }) => sigmas === undefined ? [] : [sigmas]);
  assert(spread.length > 0);
  for (const sigmas of spread) {
    assertEquals(sigmas[0], 1);
    assert(sigmas.every((sigma, i) => sigma > 0 && (i === 0 || sigma < sigmas[i - 1]!)));
  }
});

function found(sampler: string, calls: number, db: number): Found {
  const [variant] = solverVariants([sampler], { counts: [calls], fullSteps: 50 });
  const speedups = { native: 50 / calls, wasm: 48 / calls };
  return { variant: variant!, psnrDb: [db - 1, db + 1], speedups };
}

function plan(calls: number, db: number): Found {
  const variant = {
    series: "bundled plans",
    name: `p.${calls}`,
    speedup: 50 / calls,
    steps: calls,
  };
  return { ...found("ddim", calls, db), variant };
}

Deno.test("the best solver of each number of calls is kept, Heun's beside those of one more", () => {
  const best = bestOfEach([
    found("unipc", 10, 33),
    found("heun", 10, 34),
    found("unipc", 6, 27),
    found("dpmpp-2m", 6, 26),
    found("heun", 7, 20),
    found("unipc", 7, 29),
  ], [10, 7, 6, 3]);
  assertEquals(best.map(({ sampler, steps }) => [sampler, steps]), [
    ["heun", 9],
    ["unipc", 7],
    ["unipc", 6],
  ]);
});

Deno.test("the table and the figure have every way with its calls and measured speed-ups", () => {
  const rows = [found("unipc", 10, 33.04), { ...found("unipc", 5, 27), speedups: { native: 10 } }];
  const table = tradeOffTable(rows);
  assertStringIncludes(table, "| solver unipc, 10 calls | 10 | 5.00× | 5.00× | 4.80× | 33.0 (");
  assertStringIncludes(table, "| solver unipc, 5 calls | 5 | 10.00× | 10.00× | – | 27.0 (");
  assertEquals(table.split("\n").length, 4);
  const figure = tradeOffFigure(rows, "a-model");
  assertStringIncludes(figure, "<title>a-model: PSNR to the converged solution");
  assertEquals(figure.match(/<circle/g)?.length, 3);
  assertStringIncludes(figure, "native solid, wasm dashed");
  const untimed = tradeOffFigure(rows.map((row) => ({ ...row, speedups: {} })), "a-model");
  assertStringIncludes(untimed, "predicted speed-up over the full run");
  assertEquals(untimed.match(/<circle/g)?.length, 2);
});

Deno.test("a plan is held against the best solver that takes as long by the clock, not by its calls", () => {
  const solvers = [found("unipc", 12, 36), found("heun", 11, 38), found("unipc", 10, 33)];
  const quick = plan(10, 44);
  assertEquals(rivalOf(quick, solvers), solvers[2]);
  const slow = { ...quick, speedups: { native: 4.5, wasm: 4.3 } }; // 50 ÷ 11 is 4.55
  assertEquals(rivalOf(slow, solvers), solvers[1]);
  const untimed = solvers.map((each) => ({ ...each, speedups: {} }));
  assertEquals(rivalOf({ ...quick, speedups: {} }, untimed), untimed[2]);
  assertEquals(rivalOf(plan(20, 50), solvers), undefined);
  // Both pictures are 6 dB nearer, so the paired interval has no width.
  assertStringIncludes(
    rivalTable([slow, ...solvers]),
    "| p.10 | solver heun, 11 calls | +6.0 (+6.0 … +6.0) dB |",
  );
});

Deno.test("README's rows are the full run and every plan, beside the solver that takes as long", () => {
  const full = {
    ...found("ddim", 50, 40),
    variant: { ...plan(50, 40).variant, series: "ddim, in full" },
  };
  const rows = [full, found("unipc", 10, 33), { ...plan(10, 44), speedups: { native: 5 } }];
  assertEquals(gainRows(rows, "p"), [
    ["p", "none", "50", "0.96×", "1.00×", "40.0 dB", "ddim"],
    ["", "`.10`", "10", "–", "5.00×", "44.0 dB", "33.0 dB"],
  ]);
  assertStringIncludes(gainsTable(gainRows(rows, "p")), "|  | `.10` | 10 | – |");
});

Deno.test("plans are told what they get of the speed-up that was predicted, on each backend", () => {
  const rows = [found("ddim", 50, 40), plan(10, 44), { ...plan(5, 40), speedups: { native: 9 } }];
  assertEquals(sharesText(rows), [
    "Of their predicted speed-up plans get 90 – 100 % on native, 96 – 96 % on wasm.",
  ]);
  assertEquals(sharesText(rows.map((row) => ({ ...row, speedups: {} }))), []);
});

Deno.test("a section is put between its marks; a text without them is refused", () => {
  const text = "a\n<!-- trade-off of m -->\n\nold\n\n<!-- end of m -->\nb\n";
  const wanted = "a\n<!-- trade-off of m -->\n\nnew\n\n<!-- end of m -->\nb\n";
  assertEquals(replaceSection(text, "m", "new"), wanted);
  assertEquals(replaceSection(wanted, "m", "new"), wanted);
  for (const broken of ["", "<!-- end of m --><!-- trade-off of m -->"]) {
    assertThrows(
      () => replaceSection(broken, "m", "new"),
      RangeError,
      "must have <!-- trade-off of m",
    );
  }
});

Deno.test("ways are timed between two full runs, in their own number of steps, after one picture that opens sessions", async () => {
  const made: string[] = [];
  const variants: readonly Variant[] = [
    { series: "full", name: "50 steps", speedup: 1, steps: 50 },
    ...solverVariants(["unipc"], { counts: [10, 25], fullSteps: 50 }),
  ];
  const others = solverVariants(["euler"], { counts: [40], fullSteps: 50 });
  let call = 300; // takes as many seconds: a machine that gets slower
  const { speedups, rounds } = await timeVariants({
    pipeline: {
      backend: { description: "native, 2 threads" },
      generate: ({ steps = 0, labels = [] } = {}) => {
        made.push(`${labels.length}×${steps}`);
        let loopSeconds = 0;
        if (labels.length > 1) { for (let step = 0; step < steps; step++) loopSeconds += call++; }
        return Promise.resolve({ loopSeconds, conditioningSeconds: 0 } as Generated); // all that is read
      },
    },
    ...{ main: variants, others, rounds: 3 },
    request: { labels: [0, 1] },
    first: { labels: [0] },
  });
  assertEquals(made, [
    ...["1×50", "1×10", "1×25", "1×40"],
    ...["2×50", "2×40", "2×25", "2×50", "2×10", "2×50"],
    ...["2×50", "2×25", "2×10", "2×50", "2×50", "2×25", "2×10", "2×50"],
  ]);
  assertEquals(rounds, 3);
  for (
    const [key, exact] of [["full-50", 1], ["unipc-10", 5], ["unipc-25", 2], ["euler-40", 1.25]]
  ) {
    const measured = speedups[key!]!;
    assert(Math.abs(measured / Number(exact) - 1) < 0.06, `${key}: ${measured}`);
  }
});

Deno.test("groups of ways have all of them once, and should take no longer than the full run but for the last of each", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 60 })), (counts) => {
    const groups = groupsOf(solverVariants(["unipc"], { counts, fullSteps: 50 }));
    assertEquals(groups.flat().map(({ steps }) => steps), counts.toSorted((a, b) => b - a));
    for (const group of groups) {
      const before = group.slice(0, -1).reduce((sum, { steps }) => sum + steps, 0);
      assert(group.length > 0 && before < 50);
    }
  }));
});
