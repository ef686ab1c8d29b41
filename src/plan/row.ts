/**
 * One row of a plan: what one call of the model does at one step, as a short string.
 *
 * @module
 */
import { PlanError } from "../errors.ts";

/** What a row says: reuse the kept hidden state, the kept trunk residual, or single modules. */
export type Row =
  | { readonly kind: "hidden" }
  | { readonly kind: "residual" }
  | {
    readonly kind: "modules";
    /** One entry per module in execution order; `true` = reuse the kept feature. */
    readonly reuse: readonly boolean[];
  };

/** Marks that later policies will use; refused by name until they are built. */
const RESERVED: Readonly<Record<string, string>> = {
  "~": "forecast step",
  "x": "forecast cell",
  "p": "partial",
};

/**
 * Reads one row: `=`, `+`, or one mark per module, `.` run or `r` reuse.
 *
 * @param where Place of the row, for messages, for example `step 3 (slot joint)`.
 * @throws {PlanError} When a mark is unknown or reserved, or their count is not that of the modules.
 */
export function readRow(text: string, modules: readonly string[], where: string): Row {
  refuseReserved(text, modules, where);
  if (text === "=") return { kind: "hidden" };
  if (text === "+") return { kind: "residual" };
  if (text.length !== modules.length) {
    throw new PlanError(
      `Cannot read plan: ${where} must be "=", "+" or one mark for each of ${modules.length} ` +
        `modules: current value is ${text.length} marks`,
    );
  }
  return { kind: "modules", reuse: modules.map((name, m) => readMark(text[m], name, where)) };
}

/** Writes a row; the opposite of {@linkcode readRow}. */
export function writeRow(row: Row): string {
  if (row.kind === "hidden") return "=";
  if (row.kind === "residual") return "+";
  return row.reuse.map((reuse) => reuse ? "r" : ".").join("");
}

function readMark(mark: string | undefined, name: string, where: string): boolean {
  if (mark === "." || mark === "r") return mark === "r";
  throw new PlanError(
    `Cannot read plan: ${where}, module ${name} must be "." or "r": ` +
      `current value is ${JSON.stringify(mark)}`,
  );
}

function refuseReserved(text: string, modules: readonly string[], where: string): void {
  for (const [m, mark] of [...text].entries()) {
    const meaning = Object.hasOwn(RESERVED, mark) ? RESERVED[mark] : undefined;
    if (meaning === undefined) continue;
    const module = text.length === modules.length ? `, module ${modules[m]}` : "";
    throw new PlanError(
      `Cannot read plan: ${where}${module} must be without reserved marks: ` +
        `current value is "${mark}" (${meaning}, not built yet)`,
    );
  }
}
