/**
 * Reads the cache books of the published InvarDiff code (v1) as plans.
 */
import { PlanError } from "../../errors.ts";
import { type CacheBook, type Group, type Layout, LAYOUTS, type Mask } from "./layout.ts";
import type { Plan, PlanSampler } from "../plan.ts";
import { evenRow, reuseRow, STATE_ROWS } from "../row.ts";
import { checkLoads } from "../liveness.ts";

/**
 * Makes an unbound plan from a published cache book, whose layout is recognised by its content.
 *
 * Module cells of steps that are reused as a whole are bookkeeping and are ignored; FLUX joint
 * attention is reused only where both of its masks say so; Wan's rows hold for both of its calls.
 *
 * @param book Parsed JSON.
 * @param sampler The sampler that the book was made for, which it does not say itself.
 * @throws {PlanError} When the layout is unknown, a key is unknown or absent, a mask is empty,
 * ragged, not boolean or of another size than the others; names mask, row and column. Also when the
 * first step reuses anything.
 */
export function importCacheBook(book: unknown, sampler: PlanSampler): Plan {
  const root = objectAt(book, "book");
  const layout = layoutOf(root);
  const stepKey = layout.step.find((key) => key in root) ?? layout.step[0]!;
  const step = readStepMask(root[stepKey], stepKey, sampler.times.length);
  const parts = layout.groups.flatMap((group) => readGroup(root, group, step.length));
  checkKeys(root, "book", [
    stepKey,
    ...layout.groups.flatMap(({ key, parts }) => key ?? Object.values(parts).flat()),
  ]);
  const rows = step.map((reused, t) => {
    if (t === 0 && layout.guardsFirst) return evenRow("run", parts.length);
    return reused ? STATE_ROWS.hidden : reuseRow(parts.map(({ reuse }) => reuse[t]!));
  });
  const plan: Plan = {
    version: 1,
    architecture: layout.architecture,
    fingerprints: [],
    modules: parts.map(({ name }) => name),
    sampler,
    slots: layout.slots,
    rows: rows.map((row) => layout.slots.map(() => row)),
    context: {},
    policy: { name: "imported", parameters: { layout: layout.architecture } },
  };
  checkLoads(plan, "import cache book");
  return plan;
}

function layoutOf(root: CacheBook): Layout {
  const has = (key: string): boolean => Object.hasOwn(root, key);
  const found = LAYOUTS.find(({ groups }) =>
    groups.every(({ key, parts }) =>
      key === undefined ? Object.values(parts).flat().every(has) : has(key)
    )
  );
  if (found !== undefined) return found;
  refuse("book", "of the DiT, FLUX or Wan layout", `keys ${JSON.stringify(Object.keys(root))}`);
}

/** Reuse of one module over all steps. */
interface Part {
  readonly name: string;
  readonly reuse: readonly boolean[];
}

function readGroup(root: CacheBook, group: Group, steps: number): readonly Part[] {
  const at = group.key === undefined ? "" : `${group.key}.`;
  const masks = group.key === undefined ? root : objectAt(root[group.key], group.key);
  const first = Object.values(group.parts)[0]![0]!;
  const depth = readMask(masks[first], at + first, steps)[0]!.length;
  if (group.key !== undefined) {
    checkKeys(masks, group.key, [...Object.values(group.parts).flat(), ...group.copy ?? []]);
  }
  if (group.copy !== undefined) checkCopy(masks, group.copy, at);
  const parts = Object.entries(group.parts).map(([part, keys]) => ({
    part,
    masks: keys.map((key) => readMask(masks[key], at + key, steps, depth)),
  }));
  return Array.from({ length: depth }, (_, block) =>
    parts.map(({ part, masks }) => ({
      name: `${group.prefix}.${block}.${part}`,
      reuse: Array.from({ length: steps }, (_, t) => masks.every((mask) => mask[t]![block]!)),
    }))).flat();
}

function readStepMask(value: unknown, key: string, steps: number): readonly boolean[] {
  const mask = listAt(value, key);
  if (mask.length !== steps) refuse(key, `${steps} long (one per time)`, mask.length);
  return mask.map((cell, t) => booleanAt(cell, `${key}, row ${t}`));
}

function readMask(value: unknown, key: string, steps: number, depth?: number): Mask {
  const rows = listAt(value, key);
  if (rows.length !== steps) refuse(key, `${steps} rows long`, rows.length);
  const width = depth ?? listAt(rows[0], `${key}, row 0`).length;
  return rows.map((row, t) => {
    const cells = listAt(row, `${key}, row ${t}`);
    if (cells.length !== width) refuse(`${key}, row ${t}`, `${width} long`, cells.length);
    return cells.map((cell, b) => booleanAt(cell, `${key}, row ${t}, column ${b}`));
  });
}

function checkCopy(masks: CacheBook, [copy, of]: readonly [string, string], at: string): void {
  if (masks[copy] === undefined) return;
  if (JSON.stringify(masks[copy]) === JSON.stringify(masks[of])) return;
  refuse(at + copy, `absent or equal to ${of}`, "different");
}

function checkKeys(object: CacheBook, what: string, known: readonly string[]): void {
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown !== undefined) refuse(what, "without unknown keys", `"${unknown}"`);
}

function objectAt(value: unknown, what: string): CacheBook {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as CacheBook; // an object from JSON has string keys
  }
  refuse(what, "an object", JSON.stringify(value));
}

function listAt(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0) return value;
  refuse(what, "a list that is not empty", JSON.stringify(value));
}

function booleanAt(value: unknown, what: string): boolean {
  if (typeof value === "boolean") return value;
  refuse(what, "true or false", JSON.stringify(value));
}

function refuse(what: string, wanted: string, current: unknown): never {
  throw new PlanError(
    `Cannot import cache book: ${what} must be ${wanted}: current value is ${current}`,
  );
}
