import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { parseJson, parsePythonJson } from "../../src/assets/json.ts";
import { AssetError } from "../../src/errors.ts";

/** As Python's `json.dumps()` writes it. */
function dumps(value: unknown): string {
  if (typeof value === "number") return `${value}`;
  if (Array.isArray(value)) return `[${value.map(dumps).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, v]) => `${JSON.stringify(key)}: ${dumps(v)}`);
  return `{${entries.join(", ")}}`;
}

Deno.test("parsePythonJson() reads what Python writes, numbers that JSON cannot say and texts that look like them", () => {
  const number = fc.oneof(fc.constantFrom(NaN, Infinity, -Infinity), fc.integer());
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom("NaN", '"Infinity', '\\": NaN', "-Infinity, ", "\\"),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, number, text, fc.constant(null), tie("list"), tie("map")),
    list: fc.array(tie("value"), { maxLength: 4 }),
    map: fc.dictionary(text, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  }));
  const reads = (written: unknown): void => assertEquals(parsePythonJson(dumps(written)), written);
  fc.assert(fc.property(value, reads), { seed: 1, numRuns: 2000 });
});

Deno.test("parsePythonJson() refuses what is JSON to neither", () => {
  for (
    const text of [
      ...["", "{", "nan", "-NaN", "+Infinity", "--Infinity", "1Infinity", "Infinity1", "NaN.5"],
      ...["Infinity.", "InfinityNaN", "[NaN", '{NaN: 1, "a": 2}', '"Infinity', "\\NaN", "[NaN,]"],
    ]
  ) {
    assertThrows(() => parsePythonJson(text), SyntaxError);
  }
});

Deno.test("parsePythonJson() takes a time that grows with the text only", () => {
  const text = `["${"\\\\NaN".repeat(300_000)}", -Infinity, ${"[".repeat(1000)}NaN${
    "]".repeat(1000)
  }]`;
  const started = performance.now();
  parsePythonJson(text);
  parsePythonJson(`[Infinity, "${"Infinity".repeat(300_000)}"]`);
  assertEquals(performance.now() - started < 5000, true); // some ten milliseconds
});

Deno.test("parseJson() says why bytes are not JSON in UTF-8", () => {
  const bytes = new TextEncoder().encode('{"lambda_min_clipped": -Infinity}');
  assertEquals(parseJson(bytes, "a file"), { lambda_min_clipped: -Infinity });
  for (const wrong of [new TextEncoder().encode("{-Infinity}"), Uint8Array.of(0x22, 0xff, 0x22)]) {
    assertThrows(
      () => parseJson(wrong, "a file"),
      AssetError,
      "Cannot read a file: it must be JSON in UTF-8: ",
    );
  }
});
