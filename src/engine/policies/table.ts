/**
 * All policies that decide at run time, by name. A new one is a file with its rule and a row here.
 */

import { FIRST_BLOCK } from "./first_block.ts";
import type { RunTimePolicy } from "./policy.ts";
import { chooseFrom, type Chosen } from "./settings.ts";
import { frontOf, type NamedModules } from "./signals.ts";
import { SENCACHE } from "./sencache.ts";
import { TEACACHE } from "./teacache.ts";

/** Every one. */
export const RUN_TIME_POLICIES: Readonly<Record<string, RunTimePolicy>> = {
  "first-block": FIRST_BLOCK,
  "teacache": TEACACHE,
  "sencache": SENCACHE,
};

/** Names of those that leave a model something to reuse: where it is all one block, the first block is all. */
export function policiesOf(transformer: NamedModules): readonly string[] {
  const leaves = ({ signal }: RunTimePolicy): boolean =>
    signal === "latent" || frontOf(signal, transformer) < transformer.modules.length;
  return Object.entries(RUN_TIME_POLICIES).flatMap(([name, each]) => leaves(each) ? [name] : []);
}

/** One that was asked for. */
export interface ChosenRunTimePolicy extends Chosen<RunTimePolicy> {
  /** As it was asked for. */
  readonly word: string;
}

/**
 * Reads `NAME[:SETTING=NUMBER,…]`.
 *
 * @throws {TypeError} When there is no such policy or setting.
 * @throws {RangeError} When a number is out of its setting's range.
 */
export function chooseRunTimePolicy(word: string): ChosenRunTimePolicy {
  return { word, ...chooseFrom(RUN_TIME_POLICIES, word, { verb: "generate" }) };
}
