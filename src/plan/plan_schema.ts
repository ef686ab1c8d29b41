/**
 * The shape of a plan file, versions 1 and 2, as zod sees it; `plans/plan.schema.json` is generated from it.
 */
import { z } from "npm:zod@4.6.7";
import { PlanError } from "../errors.ts";
import { CELL_NAMES, CELLS, WHOLE_ROWS } from "./cells.ts";
import type { Plan } from "./plan.ts";

/** A plan as in its file: a row may be one string for all slots, slots may be absent. */
export interface PlanFile extends Omit<Plan, "rows" | "slots" | "context"> {
  /** Names of the model calls of one step; absent = `["joint"]`. */
  readonly slots?: readonly string[];
  /** One entry per step: a row for all slots, or one row per slot. */
  readonly rows: readonly (string | readonly string[])[];
  /** Recorded circumstances; absent = none recorded. */
  readonly context?: Plan["context"];
}

const name = z.string().max(200).regex(/^[A-Za-z0-9_][\w.:-]*$/);
const key = z.string().max(200).regex(/^[A-Za-z][\w.-]*$/); // no __proto__, no integer-like keys
const numbers = z.record(key, z.number());
const row = z.string().min(1).meta({ pattern: rowPattern() }); // row.ts says it in words
const column = z.array(z.union([z.array(z.number()), z.null()], { error: "numbers or null" }));
const lists = z.array(z.array(z.number()));
const weight = z.number().min(0).max(1000);
const features = z.array(z.union([lists, z.null()], { error: "lists of numbers or null" }));

/** Checks the shape only; what spans several fields is checked in `plan.ts`. */
const planSchema: z.ZodType<PlanFile> = z.strictObject({
  version: z.union([z.literal(1), z.literal(2)]),
  architecture: name,
  fingerprints: z.array(name),
  modules: z.array(name).min(1).max(10_000), // bounds the work that a hostile file can ask for
  sampler: z.strictObject({
    name,
    times: z.array(z.number().nonnegative()).min(1).max(10_000),
    shift: z.exactOptional(z.number().positive()),
  }),
  slots: z.exactOptional(z.array(name).min(1).max(16)),
  rows: z.array(
    z.union([row, z.array(row).min(1)], { error: "a string or a list of strings" }),
  ).min(1),
  columns: z.exactOptional(
    z.strictObject({
      update: z.exactOptional(column),
      forecast: z.exactOptional(column),
      features: z.exactOptional(features),
      shares: z.exactOptional(column),
    }),
  ),
  tokenScore: z.exactOptional(z.strictObject({
    attention: weight,
    age: weight,
    bonus: weight,
    cell: z.number().int().min(1).max(64),
  })),
  reference: z.exactOptional(
    z.strictObject({ sampler: name, steps: z.number().int().positive() }),
  ),
  context: z.exactOptional(z.strictObject({
    guidance: z.exactOptional(z.number()),
    guidanceLossDb: z.exactOptional(z.array(z.tuple([z.number(), z.number()])).min(1)),
    tokenGrid: z.exactOptional(z.array(z.number().int().positive()).min(1).max(3)),
    precision: z.exactOptional(name),
  })),
  policy: z.strictObject({
    name,
    parameters: z.record(key, z.union([z.number(), z.string(), z.boolean()])),
  }),
  calibration: z.exactOptional(z.strictObject({
    mode: name,
    conditions: z.array(z.union([z.number(), z.string()])),
    seeds: z.array(z.number().int()),
    thresholds: numbers,
  })),
  measured: z.exactOptional(z.strictObject({
    command: z.string(),
    machine: z.string(),
    values: numbers,
  })),
}).meta({
  title: "Cache plan, version 1 or 2",
  description: "Which steps and modules of a diffusion transformer run and which are reused.",
});

/** JSON Schema (2020-12) of a plan file, as text. */
export function planJsonSchema(): string {
  return JSON.stringify(z.toJSONSchema(planSchema, { io: "input" }), null, 2) + "\n";
}

/**
 * Checks the shape of a plan file; what spans several fields is for the caller.
 *
 * @throws {PlanError} When a key is unknown, absent or of another type, naming where.
 */
export function checkPlanFile(value: unknown): PlanFile {
  refuseUnbuilt(value);
  const checked = planSchema.safeParse(value, { reportInput: true });
  if (checked.success) return checked.data;
  throw new PlanError(`Cannot read plan: ${complaint(checked.error.issues[0]!)}`, {
    cause: checked.error,
  });
}

/** The grammar of a row as a regular expression. */
function rowPattern(): string {
  const wholes = Object.values(WHOLE_ROWS)
    .map(({ mark }) => mark.replace(/[+*?^$|.()[\]{}\\]/, "\\$&"));
  const marks = CELL_NAMES.map((cell) => CELLS[cell].mark.replace("-", "\\-")); // no range
  return `^(${wholes.join("|")}|[${marks.join("")}]+)$`;
}

/** What a file of version 1 must not have. */
const NEW = ["columns", "tokenScore", "reference"] as const;

/** Names a newer version, and what an older one lacks, before zod calls them merely wrong. */
function refuseUnbuilt(value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return;
  const version = "version" in value ? value.version : undefined;
  if (version !== 1 && version !== 2) {
    throw new PlanError(
      `Cannot read plan: version must be 1 or 2: current value is ${show(version)}`,
    );
  }
  const early = version === 1 ? NEW.find((key) => key in value) : undefined;
  if (early === undefined) return;
  throw new PlanError(
    `Cannot read plan: ${early} must be absent in version 1: ` +
      `current value is ${show((value as Record<string, unknown>)[early])}`, // it has the key
  );
}

function complaint(issue: z.core.$ZodIssue): string {
  const where = issue.path.reduce<string>(
    (path, part) => typeof part === "number" ? `${path}[${part}]` : `${path}.${String(part)}`,
    "",
  ).slice(1) || "file";
  if (issue.code === "unrecognized_keys") {
    return `${where} must be without unknown keys: current value is ${show(issue.keys)}`;
  }
  return `${where} must be ${wanted(issue)}: current value is ${show(issue.input)}`;
}

function wanted(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `of type ${issue.expected}`;
    case "too_small":
      return `at least ${issue.minimum}${issue.origin === "number" ? "" : " long"}`;
    case "too_big":
      return `at most ${issue.maximum}${issue.origin === "number" ? "" : " long"}`;
    case "invalid_format":
    case "invalid_key":
      return "a name of letters, digits, _ . : and -";
    default:
      return issue.message;
  }
}

/** A value from outside, short enough for a message. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "absent";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
