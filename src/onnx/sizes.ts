/**
 * Arithmetic of sizes, some of which have only names until a graph runs: `"N"`, sums of names such as `"M+T"`,
 * and products of both such as `"(M+T)*N*16"`.
 */

import type { Dim } from "./graph.ts";

/** The product of sizes, written in one way, so that equal products are the same size. */
export function productOf(sizes: readonly Dim[]): Dim {
  const names: string[] = [];
  let count = 1;
  for (const size of sizes) {
    if (typeof size === "number") count *= size;
    else count *= takeFactors(size, names);
  }
  if (names.length === 0) return count;
  if (names.length === 1 && count === 1) return names[0]!;
  const inner = names.sort().map((name) => name.includes("+") ? `(${name})` : name);
  return [...inner, ...(count === 1 ? [] : [count])].join("*");
}

/** The sum of sizes; with names among them a name such as `"M+T"`. */
export function sumOf(sizes: readonly Dim[]): Dim {
  if (sizes.every((size) => typeof size === "number")) {
    return sizes.reduce((sum, size) => sum + size, 0);
  }
  const product = sizes.find((size) => `${size}`.includes("*"));
  if (product === undefined) return sizes.join("+");
  throw new RangeError(`Cannot build graph: a sum must be of names: current value is ${product}`);
}

/** A size when its names are known; NaN where one is not. */
export function sizeOf(size: Dim, named: Readonly<Record<string, number>>): number {
  if (typeof size === "number") return size;
  const names: string[] = [];
  const count = takeFactors(size, names);
  const valueOf = (name: string): number => named[name] ?? Number(name);
  return names.reduce(
    (product, name) => product * name.split("+").reduce((sum, part) => sum + valueOf(part), 0),
    count,
  );
}

/** Adds the names in a size to others, and returns the product of its numbers. */
function takeFactors(size: string, names: string[]): number {
  let count = 1;
  for (const factor of size.split("*")) {
    const number = Number(factor);
    if (!Number.isNaN(number)) count *= number;
    else names.push(factor.startsWith("(") ? factor.slice(1, -1) : factor);
  }
  return count;
}
