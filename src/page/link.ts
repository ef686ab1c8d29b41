/**
 * A picture in the address bar: what comes after `#` says how it is drawn, so that a link draws it again. It
 * stays in the browser: servers are not sent it.
 */

import type { RunRequest } from "./run.ts";

/** What a link may say of a picture. */
export interface Linked extends Partial<Omit<RunRequest, "plan">> {
  /** A plan's id, or `none`; absent = whichever fits. */
  readonly plan?: string;
}

/** Longer prompts are not read of a link. */
const MAX_PROMPT = 32_000;
const MAX_STEPS = 1000;

/** A request in the words of links, where every step is computed by the plan `none`. */
export function linkedOf({ plan = "none", ...request }: RunRequest): Linked {
  return { ...request, plan };
}

/** What comes after `#` for a picture. */
export function formatLink({ plan = "none", ...request }: RunRequest): string {
  const fields = new URLSearchParams();
  for (const name of ["prompt", "label", "seed", "steps", "guidance", "model"] as const) {
    const value = request[name];
    if (value !== undefined) fields.set(name, `${value}`);
  }
  fields.set("plan", plan);
  return `#${fields}`;
}

/** What a link asks for; `undefined` where it names neither prompt nor label. What is no number of ours is left out. */
export function parseLink(hash: string): Linked | undefined {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const prompt = fields.get("prompt") ?? undefined;
  const label = whole(fields, "label", Number.MAX_SAFE_INTEGER);
  if (label === undefined && (prompt === undefined || prompt.length > MAX_PROMPT)) return undefined;
  const guidance = Number(fields.get("guidance") ?? NaN);
  const [model, plan] = [fields.get("model"), fields.get("plan")];
  const numbers = {
    label,
    seed: whole(fields, "seed", Number.MAX_SAFE_INTEGER),
    steps: whole(fields, "steps", MAX_STEPS),
    guidance: guidance >= 0 && guidance <= 100 ? guidance : undefined,
  };
  const known = Object.entries(numbers).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(known),
    ...(prompt !== undefined && prompt.length <= MAX_PROMPT && { prompt }),
    ...(model !== null && { model }),
    ...(plan !== null && { plan }),
  };
}

function whole(fields: URLSearchParams, name: string, most: number): number | undefined {
  const text = fields.get(name) ?? "";
  return /^\d{1,16}$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}
