import { assertEquals } from "@std/assert";
import { findCircles, findLongFunctions } from "../../../scripts/check/structure.ts";

Deno.test("findCircles() names each circle once, from its first file, and none where imports only go down", () => {
  const imports = (pairs: Readonly<Record<string, string[]>>): Map<string, string[]> =>
    new Map(Object.entries(pairs));
  assertEquals(findCircles(imports({ a: ["b", "c"], b: ["c"], c: [] })), []);
  assertEquals(findCircles(imports({ c: ["a"], a: ["b"], b: ["c", "d"], d: ["d"] })), [
    "a → b → c → … is a circle of imports",
    "d → … is a circle of imports",
  ]);
});

/** A function of so many lines, its head and its closing brace among them. */
function ofLines(head: string, lines: number): string {
  const body = Array.from({ length: lines - 2 }, (_, i) => `  run(${i}, "}");`);
  return [head, ...body, "}", ""].join("\n");
}

Deno.test("findLongFunctions() counts a function from its head to its end, whatever its kind", () => {
  const heads = [
    "function f() {",
    "export async function* steps(): AsyncGenerator<{ a: 1 }, void> {",
    "const f = (a: number): number => {",
    "export default async function (a: { b: number }): Promise<void> {",
  ];
  for (const head of heads) {
    assertEquals(findLongFunctions(ofLines(head, 50)), []);
    assertEquals(findLongFunctions(`\n${ofLines(head, 51)}`), [
      ":2 has a function of 51 lines: 50 are the most",
    ]);
  }
  const method = ofLines("async *#run(\n  a: string,\n): AsyncGenerator<string> {", 52);
  const inClass = `class A {\n${method.replace(/^(?=.)/gm, "  ")}}\n`;
  assertEquals(findLongFunctions(inClass), [":2 has a function of 54 lines: 50 are the most"]);
});

Deno.test("findLongFunctions() does not take a long statement, list or interface for a function", () => {
  for (const head of ["if (a) {", "for (const a of b) {", "interface A {", "const a = {"]) {
    assertEquals(findLongFunctions(ofLines(head, 80)), []);
  }
});
