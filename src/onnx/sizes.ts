/**
 * Arithmetic of sizes, some of which have only names until a graph runs: `"N"`, sums of names such as `"M+T"`,
 * and products of both such as `"(M+T)*N*16"`.
 */

import type { Dim } from "./graph.ts";

/** The product of sizes, written in one way, so that equal products are the same size. */
export function productOf(sizes: readonly Dim[]): Dim {
  const factors = sizes.flatMap(factorsOf);
  const names = factors.filter((factor) => typeof factor === "string").sort();
  const count = factors.reduce<number>((product, factor) => product * known(factor), 1);
  if (names.length === 0) return count;
  if (names.length === 1 && count === 1) return names[0]!;
  const inner = names.map((name) => name.includes("+") ? `(${name})` : name);
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
  const valueOf = (name: string): number => named[name] ?? Number(name);
  return factorsOf(size).reduce<number>((product, factor) => {
    if (typeof factor === "number") return product * factor;
    return product * factor.split("+").reduce((sum, name) => sum + valueOf(name), 0);
  }, 1);
}

function factorsOf(size: Dim): Dim[] {
  if (typeof size === "number") return [size];
  return size.split("*").map((factor) => {
    const number = Number(factor);
    return Number.isNaN(number) ? factor.replace(/^\((.*)\)$/, "$1") : number;
  });
}

function known(factor: Dim): number {
  return typeof factor === "number" ? factor : 1;
}
