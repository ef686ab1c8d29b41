/**
 * What a plan does to a run, as one short text: two plans of equal digest make equal pictures.
 */
import { sha256 } from "npm:@noble/hashes@2.4.0/sha2.js";
import { bytesToHex } from "npm:@noble/hashes@2.4.0/utils.js";
import type { Plan } from "./plan.ts";

/**
 * `sha256:` and 64 hex digits over the modules, slots, rows and sampler of a plan, and of version 2 its numbers by step.
 *
 * Provenance, measurements and the list of models do not enter: they change no picture.
 */
export function planDigest(plan: Plan): string {
  const { version, modules, slots, rows, sampler, columns, tokenScore } = plan;
  const { name, times, shift } = sampler;
  const texts = rows.map((row) => row.map(({ text }) => text));
  const { update, forecast, features, shares } = columns ?? {};
  const owned = version === 1 ? [] : [{ shift, update, forecast, features, shares, tokenScore }];
  const text = JSON.stringify([modules, slots, texts, name, times, ...owned]);
  return `sha256:${bytesToHex(sha256(new TextEncoder().encode(text)))}`;
}
