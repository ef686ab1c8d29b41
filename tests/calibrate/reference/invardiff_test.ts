import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { Rates } from "../../../src/calibrate/reference/change_rate.ts";
import {
  coupleMasks,
  finalChoice,
  type InvarDiffSettings,
  type MaskedModule,
  maskRows,
  provisionalChoice,
  type RatesByKind,
  type ReuseChoice,
  warmupSteps,
} from "../../../src/calibrate/reference/invardiff.ts";
import { quantile } from "../../../src/calibrate/reference/quantile.ts";
import { PlanError } from "../../../src/errors.ts";
import { importCacheBook } from "../../../src/plan/cache_book/import.ts";
import { changeRates } from "./change_rates.ts";

/** Scalar trajectory checked against the published analyzer. */
const trajectory = [0, 16, 32, 44, 50, 52, 53, 53.25, 55.25, 57.25, 60.25, 63.25, 64.25]
  .map((value) => Float32Array.of(value));

function settings(step: number, changes: Partial<InvarDiffSettings> = {}): InvarDiffSettings {
  return { levels: { step }, warmup: 0, variant: "dit", ...changes };
}

function column(rates: ArrayLike<number>): Rates {
  return Array.from(rates, (rate) => Float32Array.of(rate));
}

function reusedSteps(choice: ReuseChoice): readonly number[] {
  return choice.masks["step"]!.flatMap(([reused], t) => reused ? [t] : []);
}

function assertClose(actual: Float32Array, wanted: readonly number[]): void {
  assertEquals(actual.length, wanted.length);
  // The vector is given to 6 decimals.
  wanted.forEach((rate, t) => assertAlmostEquals(actual[t]!, rate, 1e-6, `row ${t}: ${actual[t]}`));
}

const phase1 = [1, 1, .75, .5, .333333, .5, .25, 8, 1, 1.5, 1, .333333, 1];
const vectors = [
  {
    level: 0.5,
    threshold1: 0.75,
    mask1: [3, 4, 5, 6, 11],
    phase2: [1, 1, .75, .5, .333333, .5, .541667, .875, .380952, 1.5, 1, .333333, 1],
    threshold2: 0.5416667,
    final: [3, 4, 5, 8, 11],
  },
  {
    level: 0.6,
    threshold1: 1,
    mask1: [2, 3, 4, 5, 6, 11],
    phase2: [1, 1, .75, .5, .666667, .75, .770833, .9375, .177778, 1.5, 1, .333333, 1],
    threshold2: 0.7708333,
    final: [2, 3, 4, 5, 8, 11],
  },
];

for (const vector of vectors) {
  Deno.test(`both phases give the golden vector at level ${vector.level}`, () => {
    const rates1 = changeRates(trajectory);
    assertClose(rates1, phase1);
    const first = provisionalChoice({ step: column(rates1) }, settings(vector.level));
    assertAlmostEquals(first.thresholds["step"]!, vector.threshold1, 1e-6);
    assertEquals(reusedSteps(first), vector.mask1);
    const rates2 = changeRates(trajectory, first.masks["step"]!.map(([reused]) => reused!));
    assertClose(rates2, vector.phase2);
    const both = [{ step: column(rates1) }, { step: column(rates2) }] as const;
    const last = finalChoice(...both, settings(vector.level));
    assertAlmostEquals(last.thresholds["step"]!, vector.threshold2, 1e-6);
    assertEquals(reusedSteps(last), vector.final);
  });
}

/** The same rates for both phases. */
function choiceOf(rates: readonly number[], asked: InvarDiffSettings): readonly number[] {
  return reusedSteps(finalChoice({ step: column(rates) }, { step: column(rates) }, asked));
}

Deno.test("level 0 never reuses, level 1 reuses all but the largest rate", () => {
  assertEquals(choiceOf([1, .5, .2, .9, .4, 1], settings(0)), []);
  assertEquals(choiceOf([1, .5, .2, .9, .4, 1], settings(1)), [1, 2, 4]);
});

Deno.test("equal rates are never reused at any level", () => {
  for (const level of [0, .5, 1]) assertEquals(choiceOf([1, .5, .5, .5, 1], settings(level)), []);
});

Deno.test("one to three steps give defined masks, and no threshold below three", () => {
  for (const rates of [[1], [1, 1], [1, .2, 1]]) {
    assertEquals(choiceOf(rates, settings(0.9)), []);
    const { thresholds, masks } = provisionalChoice({ step: column(rates) }, settings(0.9));
    assertEquals(Object.keys(thresholds).length, rates.length < 3 ? 0 : 1);
    assertEquals(masks["step"]!.length, rates.length);
  }
});

Deno.test("a warm-up of all steps or more reuses nothing", () => {
  assertEquals(choiceOf([1, .1, .5, .9, 1], settings(1, { warmup: 1 })), []);
  assertEquals(choiceOf([1, .1, .5, .9, 1], settings(1, { warmup: 7 })), []);
  assertEquals(choiceOf([1, .1, .5, .9, 1], settings(1, { warmup: 0.4 })), [2]);
});

Deno.test("warmupSteps() cuts the fraction and protects at least one step", () => {
  assertEquals([0, .1, .15, .22].map((ratio) => warmupSteps(ratio, 28)), [1, 2, 4, 6]);
  assertThrows(() => warmupSteps(-1, 28), RangeError, "warm-up must be at least 0");
  assertThrows(() => warmupSteps(NaN, 28), RangeError, "warm-up must be at least 0");
});

Deno.test("a rate that is not finite is refused by kind, step and column", () => {
  const attn = [[1, 1], [.5, .5], [.5, NaN], [1, 1]].map((row) => Float32Array.from(row));
  const rates = { step: column([1, .5, .6, 1]), attn };
  const levels = { step: .5, attn: .5 };
  const message = "rate of attn at step 2, column 1 must be finite: current value is NaN";
  assertThrows(() => provisionalChoice(rates, settings(0, { levels })), PlanError, message);
  assertThrows(() => finalChoice(rates, rates, settings(0, { levels })), PlanError, message);
});

Deno.test("a level that is absent or not in 0 … 1 is refused by kind", () => {
  const rates = { step: column([1, .5, 1]), mlp: column([1, .5, 1]) };
  assertThrows(
    () => provisionalChoice(rates, settings(0.5)),
    RangeError,
    "level of mlp must be 0 … 1: current value is undefined",
  );
  assertThrows(() => provisionalChoice(rates, settings(NaN)), RangeError, "level of step");
  assertThrows(() => provisionalChoice(rates, settings(1.5)), RangeError, "level of step");
});

Deno.test("quantile() interpolates between neighbours and takes a value at a whole rank", () => {
  const values = Float32Array.of(4, 1, 3, 2);
  assertEquals([0, 0.5, 1].map((level) => quantile(values, level)), [1, 2.5, 4]);
  assertEquals(quantile(Float32Array.of(7), 0.3), 7);
  assertThrows(() => quantile(new Float32Array(0), 0.5), RangeError, "at least 1");
  assertThrows(() => quantile(values, -0.1), RangeError, "level must be 0 … 1");
});

Deno.test("coupleMasks() marks modules of reused steps and refreshes all of them afterwards", () => {
  const step = [false, true, true, false, false, true].map((cell) => [cell]);
  const attn = [[false], [false], [true], [true], [true], [false]];
  const coupled = coupleMasks({ step, attn });
  assertEquals(coupled["attn"], [[false], [true], [true], [false], [true], [true]]);
  assertEquals(coupled["step"], step);
});

/** Parts of golden.json that these tests read. */
interface Golden {
  readonly quantile: Readonly<Record<string, number>>;
  readonly nonskip_rate: number;
  readonly threshold: Readonly<Record<string, number>>;
}

const books = [
  ...["dit-a-published", "dit-a-layers"],
  ...["fashion-dit-fast", "fashion-dit-slow", "fashion-dit-layers"],
  ...["flux-a-published", "flux-a-layers"],
];

for (const name of books) {
  const variant = name.startsWith("flux") ? "flux" : "dit";

  Deno.test(`the rates of ${name} give its thresholds, its masks and its book`, () => {
    const golden: Golden = JSON.parse(read(name, "golden.json"));
    const book = JSON.parse(read(name, "cache_books.json"));
    const rates1 = readRates(name, "phase1");
    const rates2 = readRates(name, "phase2");
    const asked = { levels: golden.quantile, warmup: golden.nonskip_rate, variant } as const;
    const first = provisionalChoice(rates1, asked);
    const last = finalChoice(rates1, rates2, asked);
    for (const [key, wanted] of Object.entries(golden.threshold)) {
      const [phase, kind] = key.split(".") as [string, string]; // "phase1.attn"
      const found = (phase === "phase1" ? first : last).thresholds[kind];
      assertEquals(found, wanted, `${key} is ${found}`);
    }
    for (const [kind, mask] of Object.entries(last.masks)) {
      const wanted = bookMask(book, kind);
      assertEquals(kind === "step" ? mask.flat() : mask, wanted, kind);
    }
    const times = last.masks["step"]!.map((_, t) => t);
    const plan = importCacheBook(book, { name: "any", times });
    assertEquals(maskRows(last.masks, plan.modules.map(maskOf)), plan.rows.flat());
  });
}

/** Where a module of our naming finds its masks in rates of these kinds. */
function maskOf(name: string): MaskedModule {
  const [blocks, block, part] = name.split(".") as [string, string, string]; // "blocks.0.attn"
  const single = blocks === "single_transformer_blocks" ? "single_" : "";
  const joint = blocks === "transformer_blocks" && part === "attn";
  return { kinds: joint ? ["attn", "context_attn"] : [single + part], column: Number(block) };
}

// deno-lint-ignore no-explicit-any -- parsed JSON of a fixture
function bookMask(book: any, kind: string): unknown {
  if (kind === "step") return book.step_cache_book;
  if (kind.startsWith("single_")) return book.single_transformer_cache_book[kind.slice(7)];
  return book.transformer_cache_book?.[kind] ??
    book[kind === "attn" ? "msa_cache_book" : "mlp_cache_book"];
}

function read(name: string, file: string): string {
  return Deno.readTextFileSync(fileUrl(name, file));
}

function fileUrl(name: string, file: string): URL {
  return new URL(`../../golden/books/${name}/${file}`, import.meta.url);
}

/** Reads the rates of one phase by kind and puts back rows 0 and T-1, which are 1. */
function readRates(name: string, phase: string): RatesByKind {
  const bytes = Deno.readFileSync(fileUrl(name, "rates.safetensors"));
  const view = new DataView(bytes.buffer);
  const headerEnd = 8 + Number(view.getBigUint64(0, true));
  const header: Readonly<Record<string, { shape: number[]; data_offsets: [number, number] }>> = JSON
    .parse(new TextDecoder().decode(bytes.subarray(8, headerEnd)));
  const kinds = Object.entries(header).filter(([key]) => key.startsWith(`${phase}.`));
  assert(kinds.length > 0);
  return Object.fromEntries(kinds.map(([key, { shape: [rows, columns = 1], data_offsets }]) => {
    const at = (t: number, c: number): number =>
      view.getFloat32(headerEnd + data_offsets[0] + 4 * (t * columns + c), true);
    const table = Array.from({ length: rows! + 2 }, (_, t) =>
      Float32Array.from(
        { length: columns },
        (_, c) => t === 0 || t === rows! + 1 ? 1 : at(t - 1, c),
      ));
    return [key.slice(phase.length + 1, -"_rate".length), table];
  }));
}
