/**
 * All policies by name. A new one is a file with its rule and a row here: options, help and messages follow.
 */

import { chooseFrom, type Chosen, settingLines } from "../../engine/policies/settings.ts";
import { ADAMS_BASHFORTH } from "./adams_bashforth.ts";
import { BUDCACHE } from "./budcache.ts";
import { DPCACHE } from "./dpcache.ts";
import { ERTACACHE } from "./ertacache.ts";
import { FORA } from "./fora.ts";
import { HICACHE } from "./hicache.ts";
import { L2P } from "./l2p.ts";
import { LEARNING_TO_CACHE } from "./learning_to_cache.ts";
import { MAGCACHE } from "./magcache.ts";
import { ODELT } from "./odelt.ts";
import { PROCACHE } from "./procache.ts";
import { SENCACHE } from "./sencache.ts";
import { TEACACHE } from "./teacache.ts";
import { TAYLORSEER } from "./taylorseer.ts";
import type { Policy } from "./policy.ts";

/** Every policy. */
export const POLICIES: Readonly<Record<string, Policy>> = {
  "magcache": MAGCACHE,
  "learning-to-cache": LEARNING_TO_CACHE,
  "ertacache": ERTACACHE,
  "procache": PROCACHE,
  "fora": FORA,
  "sencache": SENCACHE,
  "teacache": TEACACHE,
  "taylorseer": TAYLORSEER,
  "adams-bashforth": ADAMS_BASHFORTH,
  "hicache": HICACHE,
  "l2p": L2P,
  "budcache": BUDCACHE,
  "dpcache": DPCACHE,
  "odelt": ODELT,
};

/** A policy that was asked for, with a number for each of its settings. */
export type ChosenPolicy = Chosen<Policy>;

/**
 * Reads `NAME[:SETTING=NUMBER,…]`.
 *
 * @param verb What cannot be done otherwise, for example `calibrate`.
 * @throws {TypeError} When there is no such policy or setting.
 * @throws {RangeError} When a number is out of its setting's range.
 */
export function choosePolicy(word: string, verb: string): ChosenPolicy {
  return chooseFrom(POLICIES, word, { verb });
}

/** One line for each policy that records, or reads files, and each of its settings, for help. */
export function policyLines(way: "record" | "read"): readonly string[] {
  return settingLines(
    Object.fromEntries(Object.entries(POLICIES).filter(([, policy]) => policy[way])),
  );
}
