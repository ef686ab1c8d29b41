import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { PlanError } from "../../src/errors.ts";
import {
  checkColumns,
  type ColumnStep,
  MOST_FEATURES,
  MOST_OUTPUTS,
  outputsKept,
} from "../../src/plan/columns.ts";

Deno.test("outputsKept() keeps an output from where it is made to where it is last weighed", () => {
  const kept = (...weighs: readonly number[]): readonly number[] =>
    outputsKept(weighs.map((count) => ({ weighs: count, makes: true })));
  assertEquals(kept(1, 1, 1), [0, 0, 0]);
  assertEquals(kept(1, 2, 1), [1, 0, 0]);
  assertEquals(kept(1, 1, 3), [1, 2, 0]);
  const [made, forecast] = [{ weighs: 1, makes: true }, { weighs: 1, makes: false }];
  assertEquals(outputsKept([made, forecast, forecast, made]), [1, 1, 0, 0]);
});

Deno.test("outputsKept() has what every later step weighs and no more", () => {
  const uses = fc.array(fc.record({ weighs: fc.nat({ max: 8 }), makes: fc.boolean() }), {
    maxLength: 12,
  });
  fc.assert(fc.property(uses, (steps) => {
    const wanted = steps.map((_, after) => {
      const needs = steps.map(({ weighs }, step) => {
        const between = steps.slice(after + 1, step + 1).filter(({ makes }) => makes).length;
        return step > after ? weighs - between : 0;
      });
      return Math.max(0, ...needs);
    });
    assertEquals(outputsKept(steps), wanted);
  }));
});

/** Steps, and columns that they can follow. */
const followed = fc.array(
  fc.record({ called: fc.boolean(), cells: fc.nat({ max: 3 }), partial: fc.nat({ max: 3 }) }),
  { minLength: 1, maxLength: 12 },
).chain((given) => {
  const steps = given.map((step, i): ColumnStep => {
    const called = i === 0 || step.called; // there is nothing to forecast from before
    return called ? { ...step, called } : { called, cells: 0, partial: 0 };
  });
  const made = steps.map((_, i) => steps.slice(0, i + 1).filter(({ called }) => called).length);
  const outputs = (step: number, most: number): fc.Arbitrary<readonly number[]> =>
    weights(2, 1 + Math.min(most, made[step]!));
  return fc.record({
    steps: fc.constant(steps),
    columns: fc.record({
      update: fc.tuple(
        ...steps.map((_, i) => fc.option(outputs(i, MOST_OUTPUTS), { nil: null })),
      ),
      forecast: fc.tuple(...steps.map(({ called }, i) => called ? none : outputs(i, 16))),
      features: fc.tuple(...steps.map(({ cells }) => cells === 0 ? none : lists(cells))),
      shares: fc.tuple(...steps.map(({ partial }) => partial === 0 ? none : shares(partial))),
    }),
  });
});
const none = fc.constant(null);

function weights(minLength: number, maxLength: number): fc.Arbitrary<readonly number[]> {
  return fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength, maxLength });
}

function lists(cells: number): fc.Arbitrary<readonly (readonly number[])[]> {
  const list = weights(1, MOST_FEATURES);
  return fc.constantFrom(1, cells).chain((length) =>
    fc.array(list, { minLength: length, maxLength: length })
  );
}

function shares(cells: number): fc.Arbitrary<readonly number[]> {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  return fc.constantFrom(1, cells).chain((length) =>
    fc.array(share, { minLength: length, maxLength: length })
  );
}

Deno.test("checkColumns() takes what can be followed, and names step and column of what cannot", () => {
  fc.assert(fc.property(followed, fc.nat(), ({ steps, columns }, at) => {
    checkColumns(columns, steps);
    const step = at % steps.length;
    const { called, cells, partial } = steps[step]!;
    const made = steps.slice(0, step + 1).filter((each) => each.called).length;
    const wrong: readonly (readonly [keyof typeof columns, unknown])[] = [
      ...[NaN, Infinity, 1000.001, -1e9].flatMap((weight) =>
        [["update", [1, weight]], ["update", [weight, 1]]] as const
      ),
      ["update", []],
      ["update", [1]],
      ["update", new Array(made + 2).fill(1)], // an output that is not there
      ["update", new Array(MOST_OUTPUTS + 2).fill(1)],
      ["forecast", called ? [1, 1] : null],
      ["forecast", called ? [1] : [1, NaN]],
      ["features", cells === 0 ? [[1]] : null],
      ["features", cells === 0 ? [] : [[]]],
      ["features", cells === 0 ? [[1], [1]] : [[1e4]]],
      ["features", new Array(cells + 2).fill([1])],
      ["shares", partial === 0 ? [1] : null],
      ["shares", partial === 0 ? [] : [1.001]],
      ["shares", partial === 0 ? [0.5, 0.5] : [NaN]],
      ["shares", new Array(partial + 2).fill(0.5)],
    ];
    for (const [name, entry] of wrong) {
      const changed = { ...columns, [name]: columns[name].with(step, entry as never) }; // as files may have it
      const { message } = assertThrows(() => checkColumns(changed, steps), PlanError);
      assertStringIncludes(message, `step ${step}, column ${name}`);
      const short = { ...columns, [name]: columns[name].slice(1) };
      assertThrows(() => checkColumns(short, steps), PlanError, `column ${name} must be`);
    }
  }));
});
