import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { phraseIn, togglePhrase } from "../../src/page/prompt_words.ts";

const KNOWN = {
  subject: "a person with",
  examples: ["a person with a bun", "a red heart"],
  attributes: {
    hair: ["curly hair", "long curly hair", "a bun", "a bald head"],
    shirt: ["a green shirt", "a red shirt"],
    background: ["green background", "light green background", "blue background"],
  },
};
const GROUPS = Object.values(KNOWN.attributes);
const { subject } = KNOWN;

Deno.test("phraseIn() finds whole words only, and the longest phrase", () => {
  const [hair, , background] = GROUPS;
  assertEquals(phraseIn("A person with LONG curly hair", hair!), "long curly hair");
  assertEquals(phraseIn("a light green background", background!), "light green background");
  assertEquals(phraseIn("a bunch of flowers", hair!), undefined);
  assertEquals(phraseIn("urban, a bun.", hair!), "a bun");
  assertEquals(phraseIn("", hair!), undefined);
});

Deno.test("togglePhrase() adds, exchanges and takes out a phrase with what joined it", () => {
  const [hair, shirt, background] = GROUPS;
  const cases: readonly (readonly [string, string, readonly string[], string])[] = [
    ["", "a bun", hair!, "a person with a bun"],
    ["a person with", "a bun", hair!, "a person with a bun"],
    ["a wizard", "a bun", hair!, "a wizard, a bun"],
    ["a wizard, ", "a bun", hair!, "a wizard, a bun"],
    ["a person with a bun", "curly hair", hair!, "a person with curly hair"],
    ["a person with curly hair", "long curly hair", hair!, "a person with long curly hair"],
    ["a person with a bun and a red shirt", "a red shirt", shirt!, "a person with a bun"],
    [
      "a person with a bun, a red shirt, dark skin",
      "a red shirt",
      shirt!,
      "a person with a bun, dark skin",
    ],
    ["a person with a bun, a red shirt", "a bun", hair!, "a person with a red shirt"],
    ["a bun, blue background", "green background", background!, "a bun, green background"],
  ];
  for (const [prompt, phrase, group, wanted] of cases) {
    assertEquals(togglePhrase(prompt, phrase, { group, subject }), wanted, prompt);
  }
});

Deno.test("phrases that are pressed one after another leave one of each group at most, the last", () => {
  const press = fc.integer({ min: 0, max: GROUPS.length - 1 }).chain((g) =>
    fc.tuple(fc.constant(g), fc.integer({ min: 0, max: GROUPS[g]!.length - 1 }))
  );
  fc.assert(fc.property(fc.array(press, { maxLength: 12 }), (presses) => {
    let prompt = "";
    const on: (string | undefined)[] = GROUPS.map(() => undefined);
    for (const [g, i] of presses) {
      const group = GROUPS[g]!;
      const phrase = group[i]!;
      prompt = togglePhrase(prompt, phrase, { group, subject });
      on[g] = on[g] === phrase ? undefined : phrase;
      assertEquals(GROUPS.map((each) => phraseIn(prompt, each)), on, prompt);
    }
  }));
});
