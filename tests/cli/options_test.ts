import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { COMMANDS } from "../../src/cli/commands.ts";
import { choice, decimal, file, list, text, webUrl, whole } from "../../src/cli/option_readers.ts";
import {
  type CommandTable,
  dashed,
  flag,
  formatOptions,
  hintOf,
  option,
  parseOptions,
  several,
  table,
} from "../../src/cli/options.ts";
import { usageOf } from "../../src/cli/usage.ts";

const TABLE = table({
  name: "sketch",
  summary: "draw something",
  options: {
    source: option(text("a location"), "LOCATION  where it lies", { operand: true }),
    maxSteps: option(whole(1, 1000), "T  most steps", { or: 250 }),
    guidance: option(decimal(), "G  guidance scale (the model's)"),
    backend: option(choice(["auto", "wasm"]), "NAME  provider", { or: "auto" }),
    names: option(list(text("a name"), "names"), "NAME,…  classes"),
    out: option(file(".png"), "FILE.png  picture to write", { required: true }),
    url: option(webUrl(), "URL  address"),
    json: flag("report as JSON"),
  },
  forbidden: [["names", "with --url", ({ url }) => url !== undefined]],
  needed: [["guidance", "for one step", ({ maxSteps }) => maxSteps === 1]],
});

/** Every table there is. */
const TABLES: readonly CommandTable[] = [
  TABLE,
  ...(await Promise.all(COMMANDS.map(({ load }) => load()))).map(({ table }) => table),
];

/** A word that no comma splits and that is no option. */
const word = fc.string({ minLength: 1 }).filter((each) => !/^-|^\s|\s$|,/.test(each));

const given = fc.record({
  maxSteps: fc.integer({ min: 2, max: 1000 }),
  guidance: fc.double({ min: 0, max: 1e99, noNaN: true, noDefaultInfinity: true }),
  backend: fc.constantFrom("auto" as const, "wasm" as const),
  names: fc.array(word, { minLength: 1 }).map((names): readonly string[] => names),
  out: word.map((each) => `${each}.png`),
  json: fc.boolean(),
}, { requiredKeys: ["maxSteps", "backend", "out", "json"] });

Deno.test("parseOptions() reads what formatOptions() writes", () => {
  fc.assert(fc.property(word, given, (source, values) => {
    const words = [source, ...formatOptions({ ...values })];
    assertEquals(parseOptions(TABLE, words), { source, ...values });
  }));
});

Deno.test("parseOptions() takes --name value and --name=value, in any order, and the last of two", () => {
  const values = parseOptions(TABLE, ["--out=a.png", "--json", "here", "--out", "b=c.png"]);
  assertEquals(values, {
    source: "here",
    maxSteps: 250,
    backend: "auto",
    out: "b=c.png",
    json: true,
  });
});

Deno.test("an option that may be given several times keeps each value as it is, the empty one too", () => {
  const each = {
    wanted: "a text but x",
    read: (word: string) => (word === "x" ? undefined : word),
  };
  const TEXTS = table({
    name: "say",
    summary: "",
    options: { say: several(each, "TEXT  what to say"), loud: flag("shout") },
    forbidden: [["say", "aloud", ({ loud }) => loud]],
  });
  const texts = fc.array(fc.string().filter((text) => text !== "x"), { minLength: 1 });
  fc.assert(fc.property(texts, (texts) => {
    assertEquals(parseOptions(TEXTS, texts.map((text) => `--say=${text}`)).say, texts);
  }));
  assertEquals(parseOptions(TEXTS, []).say, undefined);
  assertEquals(parseOptions(TEXTS, ["--say", "a, b", "--say", ""]).say, ["a, b", ""]);
  const refuses = (words: readonly string[], message: string): unknown =>
    assertThrows(() => parseOptions(TEXTS, words), TypeError, message);
  refuses(["--say", "a", "--say", "x"], "--say must be a text but x: current value is x");
  refuses(
    ["--say", "a", "--loud", "--say", "b"],
    "--say must not be given aloud: current value is b",
  );
});

Deno.test("parseOptions() refuses any words in one line of a TypeError, or returns values of the table", () => {
  const words = fc.array(fc.oneof(
    fc.constantFrom(...Object.keys(TABLE.options).map(dashed)),
    fc.constantFrom("--json=1", "--", "-", "--=", "=", "__proto__", "--__proto__", "--constructor"),
    fc.string(),
    word,
  ));
  fc.assert(fc.property(words, (args) => {
    try {
      const { out, maxSteps } = parseOptions(TABLE, args);
      assert(out.endsWith(".png") && maxSteps >= 1);
    } catch (error) {
      assert(error instanceof TypeError, `${error}`);
      assert(error.message.startsWith("Cannot run sketch: "), error.message);
      assert(!/[\n\r\u2028]/.test(error.message), error.message);
    }
  }));
});

Deno.test("a value that is refused is named with its option, what is wanted and what came", () => {
  for (const { name, options } of TABLES) {
    for (const [key, each] of Object.entries(options)) {
      for (const wrong of ["", "\n", "no\u0000", "-1", "1e9", "9".repeat(300)]) {
        if (each.flag || each.operand || each.read(wrong) !== undefined) continue;
        const table = { name, summary: "", options: { [key]: each } };
        const { message } = assertThrows(
          () => parseOptions(table, [dashed(key), wrong]),
          TypeError,
        );
        assertStringIncludes(
          message,
          `Cannot run ${name}: ${dashed(key)} must be ${each.wanted}: `,
        );
        assert(message.length < 400 && !message.includes("\n"), message);
      }
    }
  }
});

const refused: readonly (readonly [string, string])[] = [
  ["", "LOCATION must be given (LOCATION: where it lies)"],
  ["a", "--out must be given (FILE.png: picture to write)"],
  ["a --out", "--out must be followed by FILE.png: current value is nothing"],
  ["a --out --json", "--out must be followed by FILE.png: current value is --json"],
  ["a --out b.jpg", "--out must be a file name that ends in .png: current value is b.jpg"],
  [
    "a b --out c.png",
    "its words must be options and one LOCATION (--help lists them): current value is b",
  ],
  ["a --json yes", "--json must be without a value: current value is yes"],
  ["a --json=yes", "--json must be without a value: current value is yes"],
  ["a --max-step 3", "--max-step is none of its options; the nearest is --max-steps"],
  ["a -out b.png", "-out is none of its options; the nearest is --out"],
  ["a --source b", "--source is none of its options"],
  ["a --max-steps 1001", "--max-steps must be a whole number in 1 … 1000: current value is 1001"],
  ["a --max-steps -1", "--max-steps must be a whole number in 1 … 1000: current value is -1"],
  ["a --guidance -1", "--guidance must be a number of at least 0: current value is -1"],
  ["a --backend cuda", "--backend must be auto or wasm: current value is cuda"],
  ["a --names b,,c", "--names must be names, with commas between: current value is b,,c"],
  ["a --out c.png --url http:x", "--url must be an http or https URL: current value is http:x"],
  ["a --url ftp://x", "--url must be an http or https URL: current value is ftp://x"],
  [
    "a --out c.png --url http://x --names b",
    "--names must not be given with --url: current value is b",
  ],
  ["a --out c.png --max-steps 1", "--guidance must be given for one step"],
];

for (const [words, message] of refused) {
  Deno.test(`parseOptions() refuses "${words}"`, () => {
    const args = words === "" ? [] : words.split(" ");
    assertThrows(() => parseOptions(TABLE, args), TypeError, `Cannot run sketch: ${message}`);
  });
}

Deno.test("usageOf() names every option of a table and what it is without being given", () => {
  assertEquals(
    usageOf(TABLE),
    `usage: invardiff sketch LOCATION [options]
       draw something

  LOCATION                  where it lies
  --max-steps T             most steps (250)
  --guidance G              guidance scale (the model's)
  --backend NAME            provider (auto)
  --names NAME,…            classes
  --out FILE.png            picture to write
  --url URL                 address
  --json                    report as JSON
`,
  );
});

Deno.test("the usage of every command keeps to 100 columns and has a line for each option", () => {
  for (const table of TABLES) {
    const lines = usageOf(table).split("\n");
    for (const line of lines) assert(line.length <= 100, line);
    for (const [name, each] of Object.entries(table.options)) {
      const hint = hintOf(each);
      const call = each.operand ? hint : `${dashed(name)} ${hint}`.trimEnd();
      const start = `  ${call}  `; // nothing touches what it means
      const found = lines.filter((line) => line.startsWith(start));
      assertEquals(found.length, 1, `${table.name} ${name}`);
    }
  }
});

Deno.test("every fallback is a value that its option reads, and every option says what it is", () => {
  for (const { options } of TABLES) {
    for (const { help, or, flag, read } of Object.values(options)) {
      if (or !== undefined && !flag) assertEquals(read(`${or}`), or);
      assertEquals(help.split("  ").length, flag ? 1 : 2, help);
    }
  }
});
