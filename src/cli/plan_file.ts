/**
 * Plans and cache books as files that a command is given.
 */

import { basename, dirname } from "node:path";
import { openTorchCheckpoint } from "../assets/formats/torch_checkpoint.ts";
import { openDirectory } from "../assets/source.ts";
import { policyOfPlan } from "../engine/policies/of_plan.ts";
import type { PolicyFile } from "../calibrate/policies/policy.ts";
import { parsePythonJson } from "../assets/json.ts";
import {
  bundledPlans,
  earlierPlans,
  loadPlan,
  type NamedPlan,
  planOfDigest,
} from "../engine/bundled_plans.ts";
import { AssetError, PlanError } from "../errors.ts";
import { oneOf } from "../nearest_names.ts";
import { planDigest } from "../plan/digest.ts";
import { formatPlan } from "../plan/format.ts";
import { MAX_PLAN_LENGTH, parsePlan } from "../plan/parse.ts";
import type { Plan } from "../plan/plan.ts";
import { readText, writeWhole } from "./files.ts";

/**
 * Reads the plan of a bundled name or of a file; a file that is named as a bundled plan is `./name`.
 *
 * @throws {AssetError} When there is neither, or the file is too large.
 * @throws {PlanError} When the file is no plan.
 */
export async function readPlan(nameOrFile: string): Promise<NamedPlan> {
  const name = nameOrFile;
  if (isLoadable(name)) return { name, plan: loadPlan(name) };
  const text = await readText(name, MAX_PLAN_LENGTH).catch((error: unknown) =>
    explain(error, name)
  );
  return { name, plan: parsePlan(text) };
}

/**
 * Reads the plan that was asked for; `undefined` for `auto` and `none`.
 *
 * @throws {AssetError | PlanError} When it cannot be read, or is not the one to repeat.
 */
export async function readWantedPlan(
  { plan: word, planDigest: wanted }: { readonly plan: string; readonly planDigest?: string },
): Promise<NamedPlan | undefined> {
  if (word === "auto" || word === "none") return undefined;
  const known = wanted === undefined ? undefined : planOfDigest(wanted);
  if (known !== undefined) return known;
  const named = await readPlan(word);
  const digest = planDigest(named.plan);
  if (wanted === undefined || wanted === digest) return named;
  throw new PlanError(
    `Cannot repeat the picture: plan ${word} must have digest ${wanted}: current value is ${digest}`,
  );
}

/** A policy as `generate()` takes it: of a plan's file, the rule that the plan was made by. */
export async function readPolicy(word: string): Promise<string> {
  return word.endsWith(".json") ? policyOfPlan((await readPlan(word)).plan) : word;
}

function isLoadable(name: string): boolean {
  return bundledPlans.includes(name) || earlierPlans.includes(name);
}

/** Writes a plan in its canonical form. */
export async function writePlan(path: string, plan: Plan): Promise<void> {
  await writeWhole(path, [new TextEncoder().encode(formatPlan(plan))]);
}

/** Reads the JSON of a cache book or of another published file. @throws {AssetError | PlanError} When it is too large, or not JSON. */
export async function readBook(path: string): Promise<unknown> {
  const text = await readText(path, MAX_PLAN_LENGTH);
  try {
    return parsePythonJson(text);
  } catch (cause) {
    throw new PlanError(
      `Cannot import plan: ${path} must be JSON: current value is ${
        JSON.stringify(text.slice(0, 60))
      }`,
      { cause },
    );
  }
}

/** Reads a file that a policy's authors publish, as the policy asks for it. */
export async function withPolicyFile<T>(
  path: string,
  read: (file: PolicyFile) => Promise<T>,
): Promise<T> {
  const folder = openDirectory(dirname(path));
  try {
    return await read({
      text: () => readText(path, MAX_PLAN_LENGTH),
      json: () => readBook(path),
      checkpoint: (part) => openTorchCheckpoint(folder, basename(path), { part }),
    });
  } finally {
    await folder.close();
  }
}

/** A misspelt name looks like a file that is not there. */
function explain(error: unknown, name: string): never {
  const cause = error instanceof AssetError ? error.cause : undefined;
  const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
  if (!isMissing || /[/\\]|\.json$/.test(name)) throw error;
  throw new AssetError(
    `Cannot read plan: it must be a file or ${oneOf(bundledPlans, name)}: current value is ${name}`,
    { cause },
  );
}
