/**
 * Plans with the structure of the published full-size books, as far as it is known: which steps are
 * reused, how many cells of each kind, at which steps (not: in which blocks).
 *
 * Source: statistics of the six published InvarDiff books.
 */
import type { Plan } from "../../src/plan/plan.ts";
import { examplePlan } from "./example_plans.ts";

/** Steps reused as a whole, and at other steps the count of reused cells by kind of module. */
interface Structure {
  readonly steps: number;
  readonly reused: readonly number[];
  readonly cells: Readonly<Record<number, Readonly<Record<string, number>>>>;
}

const DIT: Readonly<Record<"fast" | "slow", Structure>> = {
  fast: {
    steps: 50,
    reused: [...range(2, 15), 17, 18, 22, 23, 26, 27, 33, 34, 35, 40, 41, ...range(43, 47)],
    cells: {
      20: { attn: 26, mlp: 24 },
      30: { attn: 26, mlp: 28 },
      31: { attn: 26, mlp: 28 },
      38: { attn: 7, mlp: 9 },
    },
  },
  slow: {
    steps: 50,
    reused: [
      ...[2, 3, ...range(5, 10), ...range(12, 15), 17, 18, 22, 23, 26, 27, 33, 34],
      ...[...range(38, 41), ...range(43, 47)],
    ],
    cells: {
      20: { attn: 26, mlp: 24 },
      30: { attn: 15, mlp: 16 },
      31: { attn: 14, mlp: 15 },
    },
  },
};

/** DiT-XL/2 plan, 256², 50 steps; for other depths the counts of cells are scaled. */
export function publishedDitPlan(mode: "fast" | "slow", depth: number = 28): Plan {
  const parts = Array.from({ length: depth }, (_, b) => [
    { name: `blocks.${b}.attn`, kind: "attn", share: b / depth },
    { name: `blocks.${b}.mlp`, kind: "mlp", share: b / depth },
  ]).flat();
  return planOf(DIT[mode], parts, { attn: 28, mlp: 28 });
}

/** The published modes of FLUX. */
export const FLUX_MODES = ["fast", "medium-1", "medium-2", "slow"] as const;

const ALL = { attn: 19, ff: 19, context_ff: 15, single_attn: 38, single_mlp: 38 };
const ATTENTION = { attn: 19, ff: 0, context_ff: 0, single_attn: 38, single_mlp: 0 };
const MOST = { ...ALL, context_ff: 0, single_mlp: 34 }; // 136 of single_mlp at four steps
const TAIL = [11, 12, 13, ...range(15, 21)];

/** Cells reused at the steps 23 … 26; of `cells` one single block less at the last. */
function atTail(
  cells: Readonly<Record<string, number>>,
  last: Readonly<Record<string, number>>,
): Structure["cells"] {
  return { 23: cells, 24: cells, 25: cells, 26: { ...cells, ...last } };
}

const FLUX: Readonly<Record<(typeof FLUX_MODES)[number], Structure>> = {
  fast: {
    steps: 28,
    reused: [2, ...range(4, 9), ...TAIL],
    cells: atTail(ALL, { single_attn: 37, single_mlp: 37 }),
  },
  "medium-1": {
    steps: 28,
    reused: [2, ...range(4, 9), ...TAIL],
    cells: atTail(ATTENTION, { single_attn: 37 }),
  },
  "medium-2": { steps: 28, reused: [...range(4, 9), ...TAIL], cells: atTail(ATTENTION, {}) },
  slow: { steps: 28, reused: [...range(6, 9), ...TAIL], cells: atTail(MOST, { single_attn: 37 }) },
};

/** How many blocks of each kind. */
export interface FluxDepths {
  readonly dual: number;
  readonly single: number;
}

/** FLUX.1-dev plan, 1024², 28 steps; for other depths the counts of cells are scaled. */
export function publishedFluxPlan(
  mode: (typeof FLUX_MODES)[number],
  { dual, single }: FluxDepths = { dual: 19, single: 38 },
): Plan {
  const places = (blocks: string, count: number, parts: readonly string[]): readonly Place[] =>
    Array.from({ length: count }, (_, b) =>
      parts.map((part) => ({
        name: `${blocks}.${b}.${part}`,
        kind: blocks.startsWith("single") ? `single_${part}` : part,
        share: b / count,
      }))).flat();
  const all = [
    ...places("transformer_blocks", dual, ["attn", "ff", "context_ff"]),
    ...places("single_transformer_blocks", single, ["attn", "mlp"]),
  ];
  const plan = planOf(FLUX[mode], all, {
    attn: 19,
    ff: 19,
    context_ff: 19,
    single_attn: 38,
    single_mlp: 38,
  });
  return { ...plan, architecture: "flux", sampler: { ...plan.sampler, name: "euler" } };
}

/** FLUX.1-dev plan `fast`, 1024², 28 steps: 19 dual and 38 single blocks. */
export function publishedFluxFastPlan(): Plan {
  return publishedFluxPlan("fast");
}

/** A module: its kind, and how deep it sits, 0 … 1. */
interface Place {
  readonly name: string;
  readonly kind: string;
  readonly share: number;
}

/** Reuses the first `cells of depth` modules of a kind. */
function planOf(
  structure: Structure,
  places: readonly Place[],
  depths: Readonly<Record<string, number>>,
): Plan {
  const rows = range(0, structure.steps - 1).map((step) => {
    if (structure.reused.includes(step)) return "=";
    const cells = structure.cells[step] ?? {};
    return places.map(({ kind, share }) => share < (cells[kind] ?? 0) / depths[kind]! ? "r" : ".")
      .join("");
  });
  return examplePlan(rows, { modules: places.map(({ name }) => name) });
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
