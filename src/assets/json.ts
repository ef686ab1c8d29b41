/**
 * JSON from outside: bytes to a value, and a value to a type of ours, with one-line errors.
 */

import type { z } from "npm:zod@4.6.7";
import { AssetError } from "../errors.ts";

/**
 * Parses UTF-8 JSON, Python's kind too.
 *
 * @param thing What is read, for the message, such as `model.json in /models/a`.
 * @throws {AssetError} When the bytes are not UTF-8 or not JSON.
 */
export function parseJson(bytes: Uint8Array, thing: string): unknown {
  try {
    return parsePythonJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AssetError(`Cannot read ${thing}: it must be JSON in UTF-8: ${short(why)}`, {
      cause,
    });
  }
}

/**
 * Parses JSON as Python writes it, where `NaN`, `Infinity` and `-Infinity` are numbers: strict readers would
 * refuse a whole file for a value that nobody needs.
 *
 * @throws {SyntaxError} When it is not JSON in that sense either.
 */
export function parsePythonJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const strict = spellNumbers(text);
    if (strict === text) throw error;
    return JSON.parse(
      strict,
      (_, value: unknown) => Object.hasOwn(Object(value), NAN_MARK) ? NaN : value,
    );
  }
}

/** JSON has no spelling of NaN: an object stands for it, whose key no file has. */
const NAN_MARK = "\u0000NaN";
const SPELLINGS: Readonly<Record<string, string>> = {
  "NaN": JSON.stringify({ [NAN_MARK]: 0 }),
  "Infinity": "1e999", // beyond the largest double
  "-Infinity": "-1e999",
};

/** Python's numbers, outside of strings, as JSON can say them. */
function spellNumbers(text: string): string {
  let inString = false;
  return text.replace(/\\.|"|(?<![\w.+-])(?:-?Infinity|NaN)(?![\w.])/g, (found) => {
    if (found === '"') inString = !inString;
    return inString ? found : SPELLINGS[found] ?? found;
  });
}

/**
 * Proves that a value has the shape that a schema describes.
 *
 * @throws {AssetError} Naming the first key at fault, what is wanted and what is there.
 */
export function checkJson<T>(json: unknown, schema: z.ZodType<T>, thing: string): T {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!; // a failure has one
  const where = issue.path.length === 0 ? "it" : short(issue.path.join("."));
  const found = issue.code === "unrecognized_keys"
    ? ""
    : `: current value is ${describe(valueAt(json, issue.path))}`;
  throw new AssetError(`Cannot read ${thing}: ${where} must ${wanted(issue)}${found}`);
}

/** An object without diffusers' own notes (version, where it was loaded from): keys with `_`, but the class's name. */
export function withoutNotes(json: unknown): unknown {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return json;
  const isNote = (key: string): boolean => key.startsWith("_") && key !== "_class_name";
  return Object.fromEntries(Object.entries(json).filter(([key]) => !isNote(key)));
}

/** A value in at most a few words, however deep or long it is. */
export function describe(value: unknown): string {
  if (typeof value === "string") return short(JSON.stringify(value.slice(0, 100)));
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  return value === undefined ? "absent" : String(value);
}

function wanted(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `be of type ${issue.expected}`;
    case "invalid_value":
      return `be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    case "unrecognized_keys":
      return `not have the key ${describe(issue.keys[0])}`;
    case "too_small":
      return `be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      return `be ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_format":
      return issue.pattern === undefined ? `be a ${issue.format}` : `match ${issue.pattern}`;
    default:
      return `be valid (${issue.message})`;
  }
}

/** The text at the end of a path of keys; `undefined` where there is something else, or nothing. */
export function textAt(json: unknown, ...path: readonly PropertyKey[]): string | undefined {
  const value = valueAt(json, path);
  return typeof value === "string" ? value : undefined;
}

/** What is at the end of a path of keys; `undefined` where there is nothing. */
export function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  let value = json;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

function short(text: string): string {
  const line = text.split("\n", 1)[0]!; // a split has at least one part
  return line.length <= 100 ? line : `${line.slice(0, 97)}...`;
}
