/**
 * The canonical text of a plan: fixed key order, one step per line, so that a diff shows the steps
 * that changed and two equal plans are equal bytes.
 */
import { COLUMN_NAMES, type PlanColumns, type TokenScore } from "./columns.ts";
import { readModuleName } from "./module_name.ts";
import type { Plan, PlanReference } from "./plan.ts";
import type { Row } from "./row.ts";

/**
 * Writes a plan in its canonical form; `formatPlan(parsePlan(text)) === text` for canonical text.
 *
 * Optional parts that are absent are left out; names of parameters, thresholds and measured values
 * are sorted; a row that all slots share is written once.
 */
export function formatPlan(plan: Plan): string {
  const { guidance, guidanceLossDb, tokenGrid, precision } = plan.context;
  const fields: readonly (readonly [string, string | undefined])[] = [
    ["version", String(plan.version)],
    ["architecture", inline(plan.architecture)],
    ["fingerprints", inline(plan.fingerprints)],
    ["modules", lines(byBlock(plan.modules).map((block) => block.map(inline).join(", ")))],
    ["sampler", formatSampler(plan.sampler)],
    ["slots", inline(plan.slots)],
    ["rows", lines(plan.rows.map(formatRow))],
    ["columns", plan.columns && formatColumns(plan.columns)],
    ["tokenScore", plan.tokenScore && formatScore(plan.tokenScore)],
    ["reference", plan.reference && formatReference(plan.reference)],
    ["context", inline({ guidance, guidanceLossDb, tokenGrid, precision })],
    [
      "policy",
      object([["name", plan.policy.name], ["parameters", sorted(plan.policy.parameters)]]),
    ],
    ["calibration", plan.calibration && formatCalibration(plan.calibration)],
    ["measured", plan.measured && formatMeasured(plan.measured)],
  ];
  const present = fields.filter(([, text]) => text !== undefined);
  return `{\n${present.map(([name, text]) => `  "${name}": ${text}`).join(",\n")}\n}\n`;
}

function formatRow(rows: readonly Row[]): string {
  const texts = rows.map(({ text }) => text);
  return inline(texts.every((text) => text === texts[0]) ? texts[0] : texts);
}

function formatSampler({ name, times, shift }: Plan["sampler"]): string {
  return object([
    ["name", name],
    ["times", times],
    ...(shift === undefined ? [] : [["shift", shift] as const]),
  ]);
}

/** One step per line, as rows are. */
function formatColumns(columns: PlanColumns): string {
  const present = COLUMN_NAMES.flatMap((name) => {
    const column = columns[name];
    return column === undefined
      ? []
      : [`    "${name}": [\n${
        column.map((weights) => `      ${inline(weights)}`).join(",\n")
      }\n    ]`];
  });
  return present.length === 0 ? "{}" : `{\n${present.join(",\n")}\n  }`;
}

function formatScore({ attention, age, bonus, cell }: TokenScore): string {
  return inline({ attention, age, bonus, cell });
}

function formatReference({ sampler, steps }: PlanReference): string {
  return inline({ sampler, steps });
}

function formatCalibration(from: NonNullable<Plan["calibration"]>): string {
  return object([
    ["mode", from.mode],
    ["conditions", from.conditions],
    ["seeds", from.seeds],
    ["thresholds", sorted(from.thresholds)],
  ]);
}

function formatMeasured(from: NonNullable<Plan["measured"]>): string {
  return object([
    ["command", from.command],
    ["machine", from.machine],
    ["values", sorted(from.values)],
  ]);
}

/** Runs of names that share what is before their last dot: the modules of one block. */
function byBlock(modules: readonly string[]): readonly (readonly string[])[] {
  const blocks: string[][] = [];
  let last: string | undefined;
  for (const name of modules) {
    const { block } = readModuleName(name);
    if (block === last) blocks.at(-1)!.push(name);
    else blocks.push([name]);
    last = block;
  }
  return blocks;
}

function sorted<V>(record: Readonly<Record<string, V>>): Readonly<Record<string, V>> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => a < b ? -1 : 1));
}

/** A list with one entry per line, second level of the file. */
function lines(entries: readonly string[]): string {
  return `[\n${entries.map((entry) => `    ${entry}`).join(",\n")}\n  ]`;
}

/** An object with one field per line, second level of the file. */
function object(fields: readonly (readonly [string, unknown])[]): string {
  return `{\n${fields.map(([name, value]) => `    "${name}": ${inline(value)}`).join(",\n")}\n  }`;
}

/** JSON on one line with a space after each comma and colon. */
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  if (fields.length === 0) return "{}";
  return `{ ${
    fields.map(([name, field]) => `${JSON.stringify(name)}: ${inline(field)}`).join(", ")
  } }`;
}
