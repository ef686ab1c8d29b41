/**
 * All policies by name. A new one is a file with its rule and a row here: options, help and messages follow.
 */

import { oneOf } from "../../nearest_names.ts";
import { ADAMS_BASHFORTH } from "./adams_bashforth.ts";
import { ERTACACHE } from "./ertacache.ts";
import { HICACHE } from "./hicache.ts";
import { L2P } from "./l2p.ts";
import { LEARNING_TO_CACHE } from "./learning_to_cache.ts";
import { MAGCACHE } from "./magcache.ts";
import { PROCACHE } from "./procache.ts";
import { TAYLORSEER } from "./taylorseer.ts";
import type { Policy, Setting, Settings } from "./policy.ts";

/** Every policy. */
export const POLICIES: Readonly<Record<string, Policy>> = {
  "magcache": MAGCACHE,
  "learning-to-cache": LEARNING_TO_CACHE,
  "ertacache": ERTACACHE,
  "procache": PROCACHE,
  "taylorseer": TAYLORSEER,
  "adams-bashforth": ADAMS_BASHFORTH,
  "hicache": HICACHE,
  "l2p": L2P,
};

/** A policy that was asked for, with a number for each of its settings. */
export interface ChosenPolicy {
  readonly name: string;
  readonly policy: Policy;
  readonly settings: Settings;
}

/**
 * Reads `NAME`, or `NAME:SETTING=NUMBER,…` where some settings are not as published.
 *
 * @param verb What cannot be done otherwise, for example `calibrate`.
 * @throws {TypeError} When there is no such policy or setting.
 * @throws {RangeError} When a number is out of its setting's range.
 */
export function choosePolicy(word: string, verb: string): ChosenPolicy {
  const [name = "", ...rest] = word.split(":");
  const policy = Object.hasOwn(POLICIES, name) ? POLICIES[name] : undefined;
  if (policy === undefined) {
    const known = oneOf(Object.keys(POLICIES), name);
    throw new TypeError(`Cannot ${verb}: policy must be ${known}: current value is ${name}`);
  }
  const given = new Map(rest.join(":").split(",").filter((pair) => pair !== "").map(pairOf));
  const names = Object.keys(policy.settings);
  const unknown = [...given.keys()].find((setting) => !names.includes(setting));
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot ${verb}: setting of ${name} must be ${
        oneOf(names, unknown)
      }: current value is ${unknown}`,
    );
  }
  const settings = Object.entries(policy.settings).map(([setting, facts]) => {
    const text = given.get(setting);
    const where = `${setting} of ${name}`;
    return [setting, text === undefined ? facts.or : checked(text, facts, { where, verb })];
  });
  return { name, policy, settings: Object.fromEntries(settings) };
}

/** One line for each policy that records, or reads files, and each of its settings, for help. */
export function policyLines(way: "record" | "read"): readonly string[] {
  return Object.entries(POLICIES).filter(([, policy]) => policy[way]).flatMap(
    ([name, { words, settings }]) => [
      `${name}  ${words}`,
      ...Object.entries(settings).map(([setting, { words, or }]) =>
        `  ${`${setting}=${or}`.padEnd(16)}${words}`
      ),
    ],
  );
}

function pairOf(pair: string): readonly [string, string] {
  const at = pair.indexOf("=");
  return at < 0 ? [pair.trim(), ""] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
}

function checked(
  text: string,
  { least, most = Infinity, whole }: Setting,
  { where, verb }: { readonly where: string; readonly verb: string },
): number {
  const value = text === "" ? NaN : Number(text);
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  const range = most === Infinity ? `of at least ${least}` : `in ${least} … ${most}`;
  throw new RangeError(
    `Cannot ${verb}: ${where} must be a ${whole ? "whole " : ""}number ${range}: ` +
      `current value is ${text === "" ? "none" : text}`,
  );
}
