/**
 * A command's options as one table, from which follow its type, its parser, its usage and its errors.
 */

import { nearestNames } from "../nearest_names.ts";

/** Reads the words that stand for values of one kind. */
export interface Reader<T> {
  /** What a word must be, as in "must be a whole number". */
  readonly wanted: string;
  /** The value of a word; `undefined` when it is not what is wanted. */
  read(word: string): T | undefined;
}

/** What a table says of an option besides how it is read. */
interface Facts<T> {
  /** Its value when it is not given. */
  readonly or?: T;
  readonly required?: true;
  /** It must be given, as a bare word, in the order of the table. */
  readonly operand?: true;
  /** It stands without a value. */
  readonly flag?: true;
  /** It may be given several times; its value is a list. */
  readonly many?: true;
}

export interface Option<T> extends Reader<T>, Facts<T> {
  /** What stands for the value in the usage and what it is: `FILE.png  grid of pictures`. */
  readonly help: string;
}

/** Options by name: `maxSteps` is written `--max-steps`. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** Those that always have a value. */
type Certain = { readonly or: unknown } | { readonly required: true } | { readonly operand: true };
type ValueOf<O> = O extends Reader<infer T> ? T : never;

/** The values of a table's options. */
export type OptionValues<O extends Options> =
  & { readonly [K in keyof O as O[K] extends Certain ? K : never]: ValueOf<O[K]> }
  & { readonly [K in keyof O as O[K] extends Certain ? never : K]?: ValueOf<O[K]> };

/** An option, the end of a sentence such as "with --conditions", and whether that is so. */
export type Rule<O extends Options> = readonly [
  option: keyof O & string,
  circumstance: string,
  when: (values: OptionValues<O>) => boolean,
];

/** A command as its user sees it. */
export interface CommandTable<O extends Options = Options> {
  /** The words that call it, such as `plan show`. */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Its options, in the order of the usage. */
  readonly options: O;
  /** What else the usage says, whole lines. */
  readonly notes?: string;
}

/** A table with what does not go together, and what only goes together. */
export interface RuledTable<O extends Options> extends CommandTable<O> {
  /** When an option must not be given. */
  readonly forbidden?: readonly Rule<O>[];
  /** When one must be given. */
  readonly needed?: readonly Rule<O>[];
}

/** What was asked of the command of a table. */
export type Asked<T extends CommandTable> = OptionValues<T["options"]>;

/** A command: its table, and what it does with the words after its name. */
export interface Command {
  /** How it is called. */
  readonly table: CommandTable;
  /** Runs it. @throws {TypeError} When an option is unknown, absent or malformed. */
  run(args: readonly string[], signal: AbortSignal): Promise<void>;
}

/** A command that runs with the values of its options. */
export function command<O extends Options>(
  table: RuledTable<O>,
  run: (values: OptionValues<O>, signal: AbortSignal) => Promise<void>,
): Command {
  return { table, run: (args, signal) => run(parseOptions(table, args), signal) };
}

/** A table whose rules know its options. */
export function table<O extends Options>(table: RuledTable<O>): RuledTable<O> {
  return table;
}

/** An option of a table. */
export function option<T, const F extends Facts<T>>(
  reader: Reader<T>,
  help: string,
  facts?: F,
): Reader<T> & F & { readonly help: string } {
  return { ...reader, ...facts!, help }; // without facts F is {}
}

/** A word without a value. */
export function flag(help: string): Option<boolean> & { readonly or: false } {
  const read = (word: string): true | undefined => (word === "" ? true : undefined);
  return { wanted: "without a value", read, help, or: false, flag: true };
}

/** An option that may be given several times: the list of its values. */
export function several<T>(
  { wanted, read }: Reader<T>,
  help: string,
): Option<readonly T[]> & { readonly many: true } {
  const one = (word: string): readonly T[] | undefined => {
    const value = read(word);
    return value === undefined ? undefined : [value];
  };
  return { wanted, read: one, help, many: true };
}

/**
 * Parses the words after a command's name. Of an option that is given twice the last counts, unless it may be
 * given several times.
 *
 * @throws {TypeError} When an option is unknown, absent, malformed, or does not go with another.
 */
export function parseOptions<O extends Options>(
  table: RuledTable<O>,
  args: readonly string[],
): OptionValues<O> {
  const words = splitWords(table, args);
  const values: Record<string, unknown> = {};
  for (const [name, { read, wanted, or, many }] of Object.entries(table.options)) {
    const given = words.get(name)?.slice(many ? 0 : -1) ?? [];
    const each = given.map(read);
    const wrong = each.indexOf(undefined);
    if (wrong >= 0) refuse(table, `${callOf(table, name)} must be ${wanted}`, given[wrong]);
    const value = given.length === 0 ? or : many ? each.flat() : each[0];
    if (value !== undefined) values[name] = value;
  }
  for (const [name, { required, operand, help }] of Object.entries(table.options)) {
    if (!(required || operand) || words.has(name)) continue;
    refuse(table, `${callOf(table, name)} must be given (${help.replace("  ", ": ")})`);
  }
  const parsed = values as OptionValues<O>; // each option of the table is there as its type says
  for (const [name, circumstance, when] of table.forbidden ?? []) {
    if (!words.has(name) || !when(parsed)) continue;
    refuse(table, `${dashed(name)} must not be given ${circumstance}`, words.get(name)!.at(-1));
  }
  for (const [name, circumstance, when] of table.needed ?? []) {
    if (words.has(name) || !when(parsed)) continue;
    refuse(table, `${dashed(name)} must be given ${circumstance}`);
  }
  return parsed;
}

/** The words that parse as these values, which must be texts, numbers, lists of them, or flags. */
export function formatOptions(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).flatMap(([name, value]) =>
    typeof value === "boolean" ? (value ? [dashed(name)] : []) : [dashed(name), `${value}`]
  );
}

/** `maxSteps` → `--max-steps`. */
export function dashed(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Gives each option its words; a flag's is empty. */
function splitWords(table: CommandTable, args: readonly string[]): Map<string, string[]> {
  const { options } = table;
  const operands = Object.keys(options).filter((name) => options[name]!.operand);
  const given = new Map<string, string[]>();
  const give = (name: string, word: string): unknown =>
    given.set(name, [...given.get(name) ?? [], word]);
  for (let i = 0; i < args.length; i++) {
    const [arg, next] = [args[i]!, args[i + 1]];
    if (!/^-[^\d.]/.test(arg)) {
      give(operands.shift() ?? refuseWord(table, { arg, before: args[i - 1] ?? "" }), arg);
      continue;
    }
    const [word = "", ...rest] = arg.split("=");
    const name = nameOf(table, word);
    if (rest.length > 0 || options[name]!.flag) give(name, rest.join("="));
    else if (next !== undefined && !next.startsWith("--")) give(name, args[++i]!);
    else refuse(table, `${word} must be followed by ${hintOf(options[name]!)}`, next ?? "nothing");
  }
  return given;
}

/** The option of a word such as `--max-steps`. */
function nameOf(table: CommandTable, word: string): string {
  const names = Object.keys(table.options).filter((name) => !table.options[name]!.operand);
  const found = names.find((name) => dashed(name) === word);
  if (found !== undefined) return found;
  const nearest = nearestNames(word, names.map(dashed)).slice(0, 1);
  const hint = nearest.map((name) => `; the nearest is ${name}`).join("");
  refuse(table, `${shown(word)} is none of its options${hint}`);
}

/** A word that belongs to no option: one too many, or after a flag, which takes none. */
function refuseWord(
  table: CommandTable,
  { arg, before }: { readonly arg: string; readonly before: string },
): never {
  const options = Object.entries(table.options);
  const flag = options.find(([name, { flag }]) => flag && dashed(name) === before)?.[1];
  if (flag !== undefined) refuse(table, `${before} must be ${flag.wanted}`, arg);
  const operands = options.filter(([, { operand }]) => operand).map(([, each]) => hintOf(each));
  const wanted = ["options", ...operands.map((hint) => `one ${hint}`)].join(" and ");
  refuse(table, `its words must be ${wanted} (--help lists them)`, arg);
}

/** What stands for an option's value, and for an operand: `FILE.png`. */
export function hintOf({ help, flag }: Option<unknown>): string {
  return flag ? "" : help.split("  ")[0]!;
}

/** How an option is named: `--max-steps`, or what stands for an operand. */
function callOf({ options }: CommandTable, name: string): string {
  return options[name]!.operand ? hintOf(options[name]!) : dashed(name);
}

/** Refuses a command line. */
function refuse({ name }: CommandTable, fault: string, current?: string): never {
  const value = current === undefined ? "" : `: current value is ${shown(current)}`;
  throw new TypeError(`Cannot run ${name}: ${fault}${value}`);
}

/** A word as it can stand in one line. */
function shown(word: string): string {
  const short = word.length > 200 ? `${word.slice(0, 200)}…` : word;
  return short === "" || /\p{C}/u.test(short) ? JSON.stringify(short) : short;
}
