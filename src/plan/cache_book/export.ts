/**
 * Writes plans as cache books that the published InvarDiff code (v1) reads.
 */
import { PlanError } from "../../errors.ts";
import { type CacheBook, type Group, type Layout, LAYOUTS, type Mask } from "./layout.ts";
import type { Plan } from "../plan.ts";
import type { Row } from "../row.ts";

/**
 * Writes a DiT or FLUX plan as a cache book that the published code would run the same way.
 *
 * All module cells of a reused step are `true`, as the published calibration leaves them.
 *
 * @throws {PlanError} When the layout cannot say it: another architecture, names of modules or
 * slots, a step that reuses the trunk residual (`+`), or times of its own (version 2).
 */
export function exportCacheBook(plan: Plan): CacheBook {
  const layout = LAYOUTS.find(({ architecture }) => architecture === plan.architecture);
  if (layout === undefined || layout.slots.length !== 1) {
    refuseExport("architecture", "dit or flux", plan.architecture);
  }
  if (plan.version !== 1) {
    refuseExport("version", "1: a book has no times of its own", plan.version);
  }
  if (plan.slots.length !== 1) refuseExport("slots", "one", plan.slots.length);
  checkNames(plan, layout);
  const rows = plan.rows.map(([row], step) => maskOf(row!, step)); // one slot
  return Object.assign(
    { [layout.step[0]!]: rows.map((reused) => reused === undefined) },
    ...layout.groups.map((group) => {
      const masks = writeGroup(plan.modules, rows, group);
      return group.key === undefined ? masks : { [group.key]: masks };
    }),
  );
}

/** What a row reuses, as a book can say it: by module, or the hidden state for `undefined`. */
function maskOf(row: Row, step: number): readonly boolean[] | undefined {
  if (row.kind === "modules" && row.cells.every((cell) => cell === "run" || cell === "reuse")) {
    return row.cells.map((cell) => cell === "reuse");
  }
  if (row.kind === "state" && row.state === "hidden") return undefined;
  refuseExport(`step ${step}`, '"=" or marks "." and "r" of modules', `"${row.text}"`);
}

function writeGroup(
  modules: readonly string[],
  rows: readonly (readonly boolean[] | undefined)[],
  group: Group,
): CacheBook {
  const columns = (part: string): readonly number[] =>
    modules.flatMap((name, m) =>
      name.startsWith(`${group.prefix}.`) && name.endsWith(`.${part}`) ? [m] : []
    );
  const masks: Record<string, Mask> = {};
  for (const [part, keys] of Object.entries(group.parts)) {
    const mask = rows.map((reused) => columns(part).map((m) => reused?.[m] ?? true));
    for (const key of keys) masks[key] = mask;
  }
  if (group.copy !== undefined) masks[group.copy[0]] = masks[group.copy[1]]!;
  return masks;
}

function checkNames(plan: Plan, layout: Layout): void {
  const wanted = layout.groups.flatMap(({ prefix, parts }) => {
    const count = plan.modules.filter((name) => name.startsWith(`${prefix}.`)).length;
    const names = Object.keys(parts);
    return Array.from(
      { length: Math.ceil(count / names.length) },
      (_, block) => names.map((part) => `${prefix}.${block}.${part}`),
    ).flat();
  });
  const wrong = Array.from(
    { length: Math.max(wanted.length, plan.modules.length) },
    (_, m) => m,
  ).find((m) => wanted[m] !== plan.modules[m]);
  if (wrong !== undefined) refuseExport(`module ${wrong}`, wanted[wrong], plan.modules[wrong]);
}

function refuseExport(what: string, wanted: unknown, current: unknown): never {
  throw new PlanError(
    `Cannot export plan: ${what} must be ${wanted}: current value is ${current}`,
  );
}
