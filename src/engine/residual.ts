/**
 * The residual of the trunk: what its modules added to what they began with. It is kept, and added again at later steps:
 * by a plan for a whole batch, by a policy that decides at run time for some of its rows.
 */

import type { Backend } from "../backend/backend.ts";
import type { Transformer } from "../model/module_graph.ts";
import type { State } from "../plan/cells.ts";
import { disposeAll, type Values, whileAlive } from "./device_values.ts";
import type { FeatureCall as Call } from "./segment/feature_values.ts";
import {
  combinationRecipe,
  otherName,
  type Part,
  stateStreams,
  withBatch,
} from "./segment/segment.ts";
import { asInputs } from "./segment/step_segments.ts";
import type { Sessions } from "./sessions.ts";
import { pickValueRows, placeValueRows, withRowConstants } from "./value_rows.ts";

/** What runs parts of a step. */
export interface Trunk {
  readonly backend: Backend;
  readonly transformer: Transformer;
  readonly sessions: Sessions;
  /** Runs parts one after another; the caller owns what they begin with, and their results. */
  chain(parts: readonly Part[], begun: Values, call: Call): Promise<Values>;
}

/** Runs modules on embedded streams and keeps their residual, or what is left of it where the first of them ask. */
export async function runKeepingResidual(
  trunk: Trunk,
  modules: readonly Part[],
  { embedded, call }: { readonly embedded: Values; readonly call: Call },
): Promise<Values> {
  const { ask } = call;
  if (ask === undefined) return await runAll(trunk, modules, { begun: embedded, call });
  const front = modules.slice(0, ask.front);
  const begun = front.length === 0 ? embedded : await trunk.chain(front, embedded, call);
  return await whileAlive(begun === embedded ? {} : begun, async () => {
    const rows = await ask.rows({ begun, embedded });
    const rest = modules.slice(front.length);
    if (rows.length === call.batch.length) return await runAll(trunk, rest, { begun, call });
    if (rows.length === 0) return await addKept(trunk, begun, call);
    return await runSome(trunk, rest, { begun, call, rows });
  });
}

/** The streams of a state as they were kept. */
export function keptStreams(
  state: State,
  transformer: Transformer,
  { features, slot, batch, sizes = transformer.sizes }: Call,
): Values {
  const streams = stateStreams(transformer);
  const shapes = streams.map(({ dims }) => withBatch(dims, batch.length, sizes));
  const values = features.load(`${slot} ${state}`, shapes);
  return Object.fromEntries(streams.map(({ name }, i) => [name, values[i]!])); // as many as shapes
}

/** Streams with the residual that was kept last. */
export async function addKept(trunk: Trunk, begun: Values, call: Call): Promise<Values> {
  return await combine("add", [begun, keptStreams("residual", trunk.transformer, call)], {
    trunk,
    call,
  });
}

/** Where modules begin, and in which call. */
interface Beginning {
  readonly begun: Values;
  readonly call: Call;
}

async function runAll(
  trunk: Trunk,
  modules: readonly Part[],
  beginning: Beginning,
): Promise<Values> {
  const { hidden, residual } = await runWithResidual(trunk, modules, beginning);
  store(residual, beginning.call);
  return hidden;
}

/** Runs some rows as a batch of their own; to the others what was kept of them is added again. */
async function runSome(
  trunk: Trunk,
  modules: readonly Part[],
  { begun, call, rows }: Beginning & { readonly rows: readonly number[] },
): Promise<Values> {
  const { backend, transformer } = trunk;
  const part = await pickValueRows(backend, begun, rows);
  const { hidden, residual } = await whileAlive(part, () => {
    const batch = rows.map((row) => call.batch[row]!); // rows of the batch
    const whose = { backend, preparation: transformer.preparation, rows };
    return withRowConstants(
      call.constants ?? {},
      whose,
      (constants) =>
        runWithResidual(trunk, modules, { begun: part, call: { ...call, batch, constants } }),
    );
  });
  return await whileAlive(hidden, async () => {
    const before = keptStreams("residual", transformer, call); // all ran at their first step
    store(
      await whileAlive(residual, () => placeValueRows(backend, before, { rows, part: residual })),
      call,
    );
    const again = await addKept(trunk, begun, call);
    return await whileAlive(again, () => placeValueRows(backend, again, { rows, part: hidden }));
  });
}

async function runWithResidual(
  trunk: Trunk,
  modules: readonly Part[],
  { begun, call }: Beginning,
): Promise<{ readonly hidden: Values; readonly residual: Values }> {
  const hidden = await trunk.chain(modules, begun, call);
  try {
    return { hidden, residual: await combine("subtract", [hidden, begun], { trunk, call }) };
  } catch (error) {
    disposeAll(hidden);
    throw error;
  }
}

function store(residual: Values, { features, slot }: Call): void {
  features.store(`${slot} residual`, Object.values(residual));
}

async function combine(
  operator: "add" | "subtract",
  [a, b]: readonly [Values, Values],
  { trunk: { transformer, sessions }, call: { signal } }: {
    readonly trunk: Trunk;
    readonly call: Call;
  },
): Promise<Values> {
  signal?.throwIfAborted();
  const session = await sessions.get(combinationRecipe(transformer, operator), signal);
  const others = Object.entries(b).map(([name, value]) => [otherName(name), value]);
  const inputs = { ...asInputs(a), ...Object.fromEntries(others) };
  return await session.run(inputs, stateStreams(transformer).map(({ name }) => name));
}
