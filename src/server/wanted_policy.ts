/**
 * The policy of a request, which decides at each step while a picture is made.
 */

import { chooseRunTimePolicy } from "../engine/policies/table.ts";
import type { GenerationBody } from "./api.ts";
import type { ServedModel } from "./catalog.ts";
import { refuse, RequestError } from "./request_error.ts";

/** Letters of a policy that a message repeats. */
const SHOWN = 300;

/**
 * The policy as it was asked for; `undefined` without one.
 *
 * @throws {RequestError} 400 when there is none such, beside a plan, or where the model's workers cannot wait for it.
 */
export function wantedPolicy(
  { policy, plan = "none" }: Pick<GenerationBody, "policy" | "plan">,
  { facts: { id, policies, backend } }: ServedModel,
): string | undefined {
  if (policy === undefined) return undefined;
  const name = nameOf(policy);
  if (plan !== "none" && plan !== "auto") refuse("plan", `none beside policy ${name}`, plan);
  if (policies.includes(name)) return policy;
  throw new RequestError(
    `Cannot generate: policy must be ${policies.join(", ") || "none"} on ${backend.description}, ` +
      `which runs ${id}: current value is ${name}`,
    { code: "unsupported_policy", param: "policy" },
  );
}

function nameOf(policy: string): string {
  try {
    return chooseRunTimePolicy(policy).name;
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    const message = error.message.slice(0, SHOWN);
    throw new RequestError(message, { code: "invalid_value", param: "policy" });
  }
}
