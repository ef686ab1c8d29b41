/** Plans that tests make: short ones by hand, any one by fast-check. */
import fc from "fast-check";
import type { Plan } from "../../src/plan/plan.ts";

/** A DiT plan with these rows; two modules per block, as many blocks as the rows need. */
export function examplePlan(rows: readonly string[], changes: Partial<Plan> = {}): Plan {
  const blocks = Math.max(1, ...rows.map((row) => row.length)) / 2;
  const modules = Array.from(
    { length: Math.ceil(blocks) },
    (_, b) => [`blocks.${b}.attn`, `blocks.${b}.mlp`],
  ).flat();
  return {
    version: 1,
    architecture: "dit",
    fingerprints: [],
    modules,
    sampler: { name: "ddim", times: rows.map((_, step) => 20 * (rows.length - step)) },
    slots: ["joint"],
    rows: rows.map((row) => [row]),
    context: {},
    policy: { name: "hand", parameters: {} },
    ...changes,
  };
}

const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const key = fc.stringMatching(/^[A-Za-z][\w.-]{0,8}$/);
const name = fc.stringMatching(/^[A-Za-z0-9_][\w.:-]{0,8}$/);
const numbers = fc.dictionary(key, number, { maxKeys: 4 });

/** Any row for this many modules; `=` and `+` as likely as rows of marks. */
function anyRow(modules: number): fc.Arbitrary<string> {
  const marks = fc.array(fc.constantFrom(".", "r"), { minLength: modules, maxLength: modules })
    .map((row) => row.join(""));
  return fc.oneof(fc.constant("="), fc.constant("+"), marks, fc.constant(".".repeat(modules)));
}

/** Any well-formed plan, often with a full first step so that it also compiles. */
export const anyPlan: fc.Arbitrary<Plan> = fc.record({
  modules: fc.uniqueArray(name, { minLength: 1, maxLength: 5 }),
  slots: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
  times: fc.array(number.map(Math.abs), { minLength: 1, maxLength: 8 }),
  fullFirst: fc.boolean(),
}).chain(({ modules, slots, times, fullFirst }) =>
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
    ).map((rows) =>
      fullFirst ? [slots.map(() => ".".repeat(modules.length)), ...rows.slice(1)] : rows
    ),
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
);
