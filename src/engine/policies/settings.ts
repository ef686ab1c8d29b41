/**
 * Policies by name, with settings: how `NAME:SETTING=NUMBER,…` is read, whatever a policy does.
 */

import { oneOf } from "../../nearest_names.ts";

/** One number that a policy may be given. */
export interface Setting {
  /** What it is, a few words. */
  readonly words: string;
  /** As its authors publish it. */
  readonly or: number;
  readonly least: number;
  /** Any above `least` unless given. */
  readonly most?: number;
  readonly whole?: true;
}

/** Settings by name. */
export type SettingTable = Readonly<Record<string, Setting>>;

/** A number for each setting, within its range. */
export type Settings<T extends SettingTable = SettingTable> = { readonly [K in keyof T]: number };

/** What every kind of policy has. */
export interface HasSettings {
  /** What it does, half a sentence. */
  readonly words: string;
  readonly settings: SettingTable;
  /**
   * What it must be given by step, each in a few words: `NAME.0`, `NAME.1` and so on, none of them below 0. All are
   * equally long, as `calibrate` writes them.
   */
  readonly tables?: Readonly<Record<string, string>>;
}

/** Numbers by step, by name. */
export type Tables<T extends string = string> = { readonly [K in T]: readonly number[] };

/** A policy that was asked for, with a number for each of its settings. */
export interface Chosen<P extends HasSettings> {
  readonly name: string;
  readonly policy: P;
  readonly settings: Settings;
  /** One for each that the policy has. */
  readonly tables: Tables;
}

/**
 * Reads `NAME`, or `NAME:SETTING=NUMBER,…` where some settings are not as published.
 *
 * @param table The policies that may be asked for.
 * @param asked What cannot be done otherwise, for example `calibrate`, and what names are of, else policies.
 * @throws {TypeError} When there is no such policy or setting.
 * @throws {RangeError} When a number is out of its setting's range.
 */
export function chooseFrom<P extends HasSettings>(
  table: Readonly<Record<string, P>>,
  word: string,
  { verb, what = "policy" }: { readonly verb: string; readonly what?: string },
): Chosen<P> {
  const [name = "", ...rest] = word.split(":");
  const policy = Object.hasOwn(table, name) ? table[name] : undefined;
  if (policy === undefined) {
    const known = oneOf(Object.keys(table), name);
    throw new TypeError(`Cannot ${verb}: ${what} must be ${known}: current value is ${name}`);
  }
  const given = new Map(rest.join(":").split(",").filter((pair) => pair !== "").map(pairOf));
  const { settings, tables = {} } = policy;
  const names = Object.keys(settings);
  const isKnown = (setting: string): boolean => {
    const [, table = ""] = /^(\w+)\.(?:0|[1-9]\d*)$/.exec(setting) ?? [];
    return names.includes(setting) || Object.hasOwn(tables, table);
  };
  const unknown = [...given.keys()].find((setting) => !isKnown(setting));
  if (unknown !== undefined) {
    const known = oneOf([...names, ...Object.keys(tables).map((table) => `${table}.0`)], unknown);
    throw new TypeError(
      `Cannot ${verb}: setting of ${name} must be ${known}: current value is ${unknown}`,
    );
  }
  const read = Object.entries(settings).map(([setting, facts]) => {
    const text = given.get(setting);
    const where = `${setting} of ${name}`;
    return [setting, text === undefined ? facts.or : checked(text, facts, { where, verb })];
  });
  return {
    ...{ name, policy, settings: Object.fromEntries(read) },
    tables: tablesOf(given, Object.keys(tables), { name, verb }),
  };
}

/** Tables of what was given, all of the length of the first. */
function tablesOf(
  given: ReadonlyMap<string, string>,
  names: readonly string[],
  { name, verb }: { readonly name: string; readonly verb: string },
): Tables {
  const counts = names.map((table) =>
    [...given.keys()].filter((setting) => setting.startsWith(`${table}.`)).length
  );
  const length = Math.max(1, ...counts);
  const row = (table: string): readonly number[] =>
    Array.from({ length }, (_, step) => {
      const where = `${table}.${step} of ${name}`;
      const facts = { words: "", or: 0, least: 0 };
      return checked(given.get(`${table}.${step}`) ?? "", facts, { where, verb });
    });
  return Object.fromEntries(names.map((table) => [table, row(table)]));
}

/** One line for each policy and each of its settings, for help. */
export function settingLines(table: Readonly<Record<string, HasSettings>>): readonly string[] {
  return Object.entries(table).flatMap(([name, { words, settings, tables = {} }]) => [
    `${name}  ${words}`,
    ...Object.entries(settings).map(([setting, { words, or }]) =>
      `  ${`${setting}=${or}`.padEnd(16)}${words}`
    ),
    ...Object.entries(tables).map(([table, words]) => `  ${`${table}.0=…`.padEnd(16)}${words}`),
  ]);
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
  const isOne = whole ? Number.isInteger(value) : Number.isFinite(value);
  if (isOne && value >= least && value <= most) return value;
  const above = least === -Infinity ? "" : ` of at least ${least}`;
  const range = most === Infinity ? above : ` in ${least} … ${most}`;
  throw new RangeError(
    `Cannot ${verb}: ${where} must be a ${whole ? "whole " : ""}number${range}: ` +
      `current value is ${text === "" ? "none" : text}`,
  );
}
