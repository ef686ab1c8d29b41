/** Plans that tests make: short ones by hand, any one by fast-check. */
import fc from "fast-check";
import { type Cell, CELL_NAMES, CELLS, loadsOf, makes } from "../../src/plan/cells.ts";
import type { CellWeights, StepWeights, TokenScore } from "../../src/plan/columns.ts";
import type { Plan } from "../../src/plan/plan.ts";
import {
  countCells,
  evenRow,
  FORECAST_ROW,
  moduleRow,
  readRow,
  type Row,
  STATE_ROWS,
} from "../../src/plan/row.ts";

/** Changes of a plan, its rows as text. */
export interface PlanChanges extends Partial<Omit<Plan, "rows">> {
  readonly rows?: readonly (readonly string[])[];
}

/** A DiT plan with these rows; two modules per block, as many blocks as the rows need. */
export function examplePlan(texts: readonly string[], changes: PlanChanges = {}): Plan {
  const blocks = Math.max(1, ...texts.map((row) => row.length)) / 2;
  const { modules, rows = texts.map((row) => [row]), ...others } = {
    modules: Array.from(
      { length: Math.ceil(blocks) },
      (_, b) => [`blocks.${b}.attn`, `blocks.${b}.mlp`],
    ).flat(),
    ...changes,
  };
  return {
    version: 1,
    architecture: "dit",
    fingerprints: [],
    modules,
    sampler: { name: "ddim", times: rows.map((_, step) => 20 * (rows.length - step)) },
    slots: ["joint"],
    rows: rows.map((row) => rowsOf(row, modules)),
    context: {},
    policy: { name: "hand", parameters: {} },
    ...others,
  };
}

/** Rows for these modules, or for as many as the first row has marks. */
export function rowsOf(texts: readonly string[], modules?: readonly string[]): readonly Row[] {
  const names = modules ?? Array.from(texts[0] ?? "", (_, m) => `${m}`);
  return texts.map((text, i) => readRow(text, names, `row ${i}`));
}

/** The rows of a plan as its file has them. */
export function textsOf({ rows }: Pick<Plan, "rows">): readonly (readonly string[])[] {
  return rows.map((row) => row.map(({ text }) => text));
}

const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const key = fc.stringMatching(/^[A-Za-z][\w.-]{0,8}$/);
const name = fc.stringMatching(/^[A-Za-z0-9_][\w.:-]{0,8}$/);
const numbers = fc.dictionary(key, number, { maxKeys: 4 });

/** Cells of plans of version 1. */
export const PLAIN_CELLS = CELL_NAMES.filter((cell) => CELLS[cell].since === undefined);

/** Any row for this many modules; `=` and `+` as likely as rows of marks. */
function anyRow(modules: number): fc.Arbitrary<Row> {
  const cells = fc.array(fc.constantFrom(...PLAIN_CELLS), {
    minLength: modules,
    maxLength: modules,
  });
  return fc.oneof(
    fc.constantFrom(...Object.values(STATE_ROWS)),
    cells.map(moduleRow),
    fc.constant(evenRow("run", modules)),
  );
}

/** Rows with the numbers of their cells. */
export interface NumberedRows {
  readonly rows: readonly Row[];
  readonly features: readonly CellWeights[];
  readonly shares: readonly StepWeights[];
}

/**
 * Cells of version 2 in the place of some that reuse, with their numbers: no more features are weighed than made.
 *
 * @param partial Modules that may compute a part of their tokens; all unless given.
 */
export function withNumbersOf(
  rows: readonly Row[],
  modules: number,
  partial: (module: number) => boolean = () => true,
): fc.Arbitrary<NumberedRows> {
  const other = fc.constantFrom<Cell>("partial", "skip", "reuse", "reuse");
  const takes = rows.map((row) => {
    if (row.kind !== "modules") return fc.constant(row);
    return fc.array(other, { minLength: modules, maxLength: modules }).map((others) =>
      moduleRow(row.cells.map((cell, m) => {
        const may = cell === "reuse" && (others[m] !== "partial" || partial(m));
        return may ? others[m]! : cell; // as many
      }))
    );
  });
  return fc.tuple(...takes).chain((taken) =>
    withForecasts(taken, modules).chain((found) =>
      fc.tuple(...found.rows.map(anyShares)).map((shares) => ({ ...found, shares }))
    )
  );
}

/** Shares for the partial cells of a row. */
function anyShares(row: Row): fc.Arbitrary<StepWeights> {
  const count = countCells(row, "partial");
  const share = fc.integer({ min: 1, max: 8 }).map((eighths) => eighths / 8);
  if (count === 0) return fc.constant(null);
  return fc.oneof(
    share.map((one) => [one]),
    fc.array(share, { minLength: count, maxLength: count }),
  );
}

/** Weights for forecast cells that take the place of some that reuse, so that no more features are weighed than made. */
function withForecasts(
  rows: readonly Row[],
  modules: number,
): fc.Arbitrary<{ readonly rows: readonly Row[]; readonly features: readonly CellWeights[] }> {
  const made = new Array<number>(modules).fill(0);
  const weight = fc.integer({ min: -16, max: 16 }).map((eighths) => eighths / 8);
  const listsFor = (counts: readonly number[]): fc.Arbitrary<CellWeights> => {
    const list = (most: number): fc.Arbitrary<number[]> =>
      fc.array(weight, { minLength: 1, maxLength: Math.min(most, 8) });
    if (counts.length === 0) return fc.constant(null);
    return fc.oneof(list(Math.min(...counts)).map((one) => [one]), fc.tuple(...counts.map(list)));
  };
  const steps = rows.map((row) => {
    if (row.kind !== "modules") return fc.constant({ row, lists: null as CellWeights });
    const before = [...made];
    row.cells.forEach((cell, m) => made[m]! += makes(cell) ? 1 : 0);
    return fc.array(fc.boolean(), { minLength: modules, maxLength: modules }).chain((some) => {
      const cells = row.cells.map((cell, m) => cell === "reuse" && some[m] ? "extrapolate" : cell);
      const counts = before.filter((_, m) => cells[m] === "extrapolate");
      return listsFor(counts).map((lists) => ({ row: moduleRow(cells), lists }));
    });
  });
  return fc.tuple(...steps).map((all) => ({
    rows: all.map(({ row }): Row => row),
    features: all.map(({ lists }) => lists),
  }));
}

/** The rows of a slot, but what would load more than was made runs instead. */
export function runnable(rows: readonly Row[], modules: number): readonly Row[] {
  const made = new Array<number>(modules).fill(0);
  return rows.map((row, step) => {
    if (row.kind === "forecast") return row;
    if (row.kind === "state") {
      if (step > 0) return row;
      made.fill(1);
      return evenRow("run", modules);
    }
    const cells = row.cells.map((cell, m) => loadsOf(cell) > made[m]! ? "run" : cell);
    for (const [m, cell] of cells.entries()) if (makes(cell)) made[m]!++;
    return moduleRow(cells);
  });
}

/** Any well-formed plan: one that parses. */
export const anyPlan: fc.Arbitrary<Plan> = anyRows(true);

/** Any plan, of which a step may load what nothing has stored. */
export const anyPlanOrNone: fc.Arbitrary<Plan> = fc.boolean().chain(anyRows);

function anyRows(runs: boolean): fc.Arbitrary<Plan> {
  return fc.record({
    modules: fc.uniqueArray(name, { minLength: 1, maxLength: 5 }),
    slots: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
    times: fc.array(number.map(Math.abs), { minLength: 1, maxLength: 8 }),
  }).chain(({ modules, slots, times }) =>
    fc.record({
      version: fc.constant(1 as const),
      architecture: name,
      fingerprints: fc.uniqueArray(name, { maxLength: 2 }),
      modules: fc.constant(modules),
      sampler: fc.record({ name, times: fc.constant(times) }),
      slots: fc.constant(slots),
      rows: fc.array(
        fc.array(anyRow(modules.length), { minLength: slots.length, maxLength: slots.length }),
        { minLength: times.length, maxLength: times.length },
      ).map((rows) => runs ? eachSlot(rows, (column) => runnable(column, modules.length)) : rows),
      context: fc.record({
        guidance: number,
        tokenGrid: fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 3 }),
        precision: name,
      }, { requiredKeys: [] }),
      policy: fc.record({
        name,
        parameters: fc.dictionary(key, fc.oneof(number, fc.string(), fc.boolean()), {
          maxKeys: 4,
        }),
      }),
      calibration: fc.record({
        mode: name,
        conditions: fc.array(fc.oneof(number, fc.string()), { maxLength: 4 }),
        seeds: fc.array(fc.integer(), { maxLength: 4 }),
        thresholds: numbers,
      }),
      measured: fc.record({ command: fc.string(), machine: fc.string(), values: numbers }),
    }, {
      requiredKeys: [
        "version",
        "architecture",
        "fingerprints",
        "modules",
        "sampler",
        "slots",
        "rows",
        "context",
        "policy",
      ],
    }).map((plan): Plan => JSON.parse(JSON.stringify(plan))) // plain objects, no -0
  ).chain((plan) => fc.oneof(fc.constant(plan), withOwnTimes(plan)));
}

/** A plan of version 2 with the rows of another: falling times; where it has one slot, weights and forecasts. */
function withOwnTimes({ rows: before, ...plan }: Plan): fc.Arbitrary<Plan> {
  const steps = before.length;
  const some = fc.array(fc.boolean(), { minLength: steps, maxLength: steps });
  return some.chain((skips) => {
    const forecasts = skips.map((skip, step) => plan.slots.length === 1 && step > 0 && skip);
    const changed = before.map((row, step) => forecasts[step] ? [FORECAST_ROW] : row);
    const rows = eachSlot(changed, (column) => runnable(column, plan.modules.length));
    if (plan.slots.length > 1) return withNumbers({ ...plan, rows }, forecasts);
    return fc.tuple(
      withNumbersOf(rows.map(([row]) => row!), plan.modules.length),
      fc.option(anyScore, { nil: undefined }),
    ).chain(([{ rows, features, shares }, tokenScore]) =>
      withNumbers({
        ...{ ...plan, rows: rows.map((row) => [row]) },
        columns: { features, shares },
        ...(shares.some((each) => each !== null) && tokenScore !== undefined && { tokenScore }),
      }, forecasts)
    );
  });
}

const anyScore: fc.Arbitrary<TokenScore> = fc.record({
  attention: fc.integer({ min: 0, max: 8 }),
  age: fc.integer({ min: 0, max: 8 }).map((eighths) => eighths / 8),
  bonus: fc.integer({ min: 0, max: 8 }),
  cell: fc.integer({ min: 1, max: 4 }),
});

function withNumbers(plan: Plan, forecasts: readonly boolean[]): fc.Arbitrary<Plan> {
  const steps = plan.rows.length;
  const weights = (step: number, most: number): fc.Arbitrary<readonly number[]> =>
    fc.array(fc.integer({ min: -1000, max: 1000 }).map((weight) => weight / 8), {
      minLength: 2,
      maxLength: 1 +
        Math.min(forecasts.slice(0, step + 1).filter((skipped) => !skipped).length, most),
    });
  return fc.record({
    step: fc.double({ min: 0.001, max: 9, noNaN: true }),
    update: fc.tuple(...forecasts.map((_, step) => fc.option(weights(step, 8)))),
    forecast: fc.tuple(
      ...forecasts.map((skipped, step) => skipped ? weights(step, 16) : fc.constant(null)),
    ),
    shift: fc.option(fc.double({ min: 0.1, max: 9, noNaN: true }), { nil: undefined }),
    reference: fc.option(fc.record({ sampler: name, steps: fc.integer({ min: 1, max: 99 }) }), {
      nil: undefined,
    }),
  }).map(({ step, update, forecast, shift, reference }): Plan =>
    JSON.parse(JSON.stringify({
      ...plan,
      version: 2,
      sampler: { ...plan.sampler, times: plan.rows.map((_, i) => step * (steps - i)), shift },
      ...(plan.slots.length === 1 && { columns: { update, forecast, ...plan.columns } }),
      reference,
    }))
  );
}

/** Changes the rows of each slot. */
function eachSlot(
  rows: readonly (readonly Row[])[],
  change: (column: readonly Row[]) => readonly Row[],
): readonly (readonly Row[])[] {
  const columns = rows[0]!.map((_, slot) => change(rows.map((row) => row[slot]!)));
  return rows.map((_, step) => columns.map((column) => column[step]!));
}
