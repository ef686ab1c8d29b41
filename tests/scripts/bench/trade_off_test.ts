import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { rivalsOf, solverVariants } from "../../../scripts/bench/rivals.ts";
import { bestOfEach } from "../../../scripts/bench/trade_off.ts";
import {
  type Found,
  tradeOffFigure,
  tradeOffTable,
} from "../../../scripts/bench/trade_off_report.ts";
import { chooseSampler } from "../../../src/sampler/choose_sampler.ts";
import { makeSampler } from "../../../src/sampler/solvers.ts";

const NOISE = { sampler: { name: "ddim", steps: 50, guidance: 2 } } as const;
const FLOW = { sampler: { name: "flow-euler", steps: 28, guidance: 3 } } as const;

Deno.test("every rival is a solver that a model of its kind can be sampled by, in so many calls", () => {
  for (const model of [NOISE, FLOW]) {
    const rivals = rivalsOf(model, [25, 10]);
    assert(rivals.length >= 12);
    for (const { sampler, steps, speedup } of rivals) {
      const chosen = chooseSampler(model.sampler, sampler!); // each names one
      assertEquals(makeSampler(chosen, { steps, tokens: 256 }).times.length, steps);
      assertEquals(speedup, model.sampler.steps / steps);
    }
  }
});

function found(sampler: string, calls: number, truthDb: number): Found {
  const [variant] = solverVariants([sampler], { counts: [calls], fullSteps: 50 });
  return { variant: variant!, truthDb, speedups: { native: 50 / calls, wasm: 48 / calls } };
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
  const rows = [found("unipc", 10, 33.04), found("unipc", 5, 27)];
  const table = tradeOffTable(rows);
  assertStringIncludes(table, "| solver unipc, 10 calls | 10 | 5.00× | 5.00× | 4.80× | 33.0 dB |");
  assertEquals(table.split("\n").length, 4);
  const figure = tradeOffFigure(rows, "a-model");
  assertStringIncludes(figure, "<title>a-model: PSNR to the converged solution");
  assertEquals(figure.match(/<circle/g)?.length, 4);
  assertStringIncludes(figure, "native solid, wasm dashed");
});
