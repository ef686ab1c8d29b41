/**
 * The options of `plan`: from words to values.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { z } from "zod";

/** What `plan` was asked to do. */
export type PlanCommand = ShowPlan | CheckPlan | ImportPlan | BindPlan | ExportPlan;

/** Draws a plan and tells its facts. */
export interface ShowPlan {
  /** Always `"show"`. */
  readonly kind: "show";
  /** Name of a bundled plan, or a file. */
  readonly plan: string;
  /** Model whose cost is told. */
  readonly model?: string;
  /** SVG to write. */
  readonly svg?: string;
}

/** Says whether a plan fits a model. */
export interface CheckPlan {
  /** Always `"check"`. */
  readonly kind: "check";
  /** Name of a bundled plan, or a file. */
  readonly plan: string;
  /** Absent is the embedded model. */
  readonly model?: string;
}

/** Makes a plan of a published cache book. */
export interface ImportPlan {
  /** Always `"import"`. */
  readonly kind: "import";
  /** File of the cache book. */
  readonly plan: string;
  /** Model to bind the plan to; absent leaves it unbound. */
  readonly model?: string;
  /** Sampler that the book was made for. */
  readonly sampler: string;
  /** Steps of DDIM. */
  readonly steps?: number;
  /** Times of any sampler, instead of steps. */
  readonly times?: readonly number[];
  /** Rows and columns of tokens that the book was made for. */
  readonly grid?: readonly [number, number];
  /** Plan to write. */
  readonly out: string;
}

/** Accepts a model for a plan. */
export interface BindPlan {
  /** Always `"bind"`. */
  readonly kind: "bind";
  /** Name of a bundled plan, or a file. */
  readonly plan: string;
  /** Absent is the embedded model. */
  readonly model?: string;
  /** Plan to write. */
  readonly out: string;
}

/** Writes a plan as a published cache book. */
export interface ExportPlan {
  /** Always `"export"`. */
  readonly kind: "export";
  /** Name of a bundled plan, or a file. */
  readonly plan: string;
  /** Book to write. */
  readonly out: string;
}

/** How `plan` is called. */
export const PLAN_USAGE = `plan commands; PLAN is a file or the name of a bundled plan:
  plan show PLAN          heat-map and facts; --model DIR tells speed-up and bytes, --svg FILE draws
  plan check PLAN         whether it fits --model DIR (the embedded fashion-dit)
  plan import BOOK        a plan, --out FILE, from a published cache book: --sampler ddim --steps T, or
                          --sampler NAME --times T,T,…; --model DIR binds it, without it is unbound,
                          and tells the times of its own sampler; --grid RxC the tokens it was made for
  plan bind PLAN          the plan, --out FILE, with --model DIR (the embedded fashion-dit) accepted
  plan export PLAN        the plan as a published cache book, --out FILE`;

const OPTIONS = {
  model: { type: "string" },
  svg: { type: "string" },
  sampler: { type: "string" },
  steps: { type: "string" },
  times: { type: "string" },
  grid: { type: "string" },
  out: { type: "string" },
} as const;

const path = z.string("must be given").min(1, "must not be empty");
const model = z.exactOptional(path);
const steps = z.string().regex(/^\d+$/, "must be a whole number").transform(Number);
const times = z.string().regex(/^[\d.]+(,[\d.]+)*$/, "must be numbers with commas between")
  .transform((text) => text.split(",").map(Number));

const grid = z.string().regex(/^[1-9]\d*x[1-9]\d*$/, "must be ROWSxCOLUMNS").transform((text) => {
  const [rows = 0, columns = 0] = text.split("x").map(Number);
  return [rows, columns] as const;
});

const commands: z.ZodType<PlanCommand> = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("show"),
    plan: path,
    model,
    svg: z.exactOptional(path.endsWith(".svg", "must end in .svg")),
  }),
  z.strictObject({ kind: z.literal("check"), plan: path, model }),
  z.strictObject({
    kind: z.literal("import"),
    plan: path,
    model,
    sampler: z.string().regex(/^[a-z][\w-]*$/, "must be the name of a sampler").default("ddim"),
    steps: z.exactOptional(steps),
    times: z.exactOptional(times),
    grid: z.exactOptional(grid),
    out: path,
  }),
  z.strictObject({ kind: z.literal("bind"), plan: path, model, out: path }),
  z.strictObject({ kind: z.literal("export"), plan: path, out: path }),
], "must be show, check, import, bind or export");

/**
 * Parses the command line of `plan`.
 *
 * @throws {TypeError} When the command or an option is unknown, absent or malformed.
 */
export function parsePlanCommand(args: readonly string[]): PlanCommand {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  });
  const [kind, plan, ...more] = positionals;
  if (more.length > 0) refuse("words", "must be a command and one PLAN", positionals.join(" "));
  const words = { ...values, kind, ...(plan !== undefined && { plan }) };
  const parsed = commands.safeParse(words);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!; // it failed for something
  const unknown = issue.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const what = unknown ?? String(issue.path[0]);
  const wanted = unknown === undefined ? issue.message : `must not be given to plan ${kind}`;
  refuse(NAMES[what] ?? `--${what}`, wanted, Reflect.get(words, what));
}

const NAMES: Readonly<Record<string, string>> = { kind: "command", plan: "PLAN" };

function refuse(what: string, wanted: string, current: unknown): never {
  throw new TypeError(
    `Cannot run plan: ${what} ${wanted}: current value is ${current ?? "absent"}`,
  );
}
