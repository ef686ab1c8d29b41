/**
 * What the shape of published files says without reading them: circles of imports, and functions that no
 * screen holds.
 */

import { maskSource } from "./scan_source.ts";

/** A function is one thought: 12 lines are the aim, this is the cap, its head included. */
const MAX_FUNCTION_LINES = 50;

/**
 * Circles of imports, types counted: each names its files in order, from the first by name.
 *
 * @param imports The files that each file imports.
 */
export function findCircles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const circles = new Set<string>();
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) {
      circles.add(fromFirst(path.slice(start)).join(" → "));
      return;
    }
    if (done.has(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of [...imports.keys()].sort()) visit(file, []);
  return [...circles].map((circle) => `${circle} → … is a circle of imports`);
}

function fromFirst(circle: readonly string[]): string[] {
  const first = circle.indexOf(circle.toSorted()[0]!); // never empty
  return [...circle.slice(first), ...circle.slice(0, first)];
}

/** Functions of a formatted file that are too long, by the line on which they begin. */
export function findLongFunctions(source: string): string[] {
  const lines = maskSource(source).split("\n");
  return lines.flatMap((line, first) => {
    const indent = indentOf(line);
    if (!BEGINS_FUNCTION.test(line)) return [];
    const opens = opensBody(lines, first, indent);
    if (opens === undefined) return [];
    const length = closesAt(lines, opens, indent) - first + 1;
    if (length <= MAX_FUNCTION_LINES) return [];
    return [`:${first + 1} has a function of ${length} lines: ${MAX_FUNCTION_LINES} are the most`];
  });
}

/** A declaration, a method, or an arrow with a body; not a statement in brackets. */
const BEGINS_FUNCTION =
  /^\s*(?!(?:if|for|while|switch|catch|else|return|do|try|throw|await|import|new)\b)(?:(?:export|default|async|static|override|readonly|get|set|function\*?|\*)\s+)*(?:(?:const|let)\s+)?[*#\w$]+\s*(?:<[^>]*>)?(?:\(|\s*=.*(?:\(|=>)|:.*(?:\(|=>))/;

/** The line that ends with the body's `{`: the same, or the one that closes the parameters. */
function opensBody(
  lines: readonly string[],
  first: number,
  indent: number,
): number | undefined {
  for (let i = first; i < lines.length; i++) {
    const line = lines[i]!; // within
    if (i > first && indentOf(line) === indent && !/^\s*[)}\]]/.test(line)) return undefined;
    const isOurs = i === first || indentOf(line) === indent;
    if (isOurs && /(?:\)[^()]*|=>\s*)\{\s*$/.test(line)) return i;
    if (isOurs && i > first && /[;,]\s*$/.test(line)) return undefined;
  }
  return undefined;
}

function closesAt(lines: readonly string[], opens: number, indent: number): number {
  const after = lines.slice(opens + 1)
    .findIndex((line) => indentOf(line) === indent && /^\s*\}/.test(line));
  return after < 0 ? lines.length - 1 : opens + 1 + after;
}

function indentOf(line: string): number {
  return line.trim() === "" ? Infinity : line.search(/\S/);
}
