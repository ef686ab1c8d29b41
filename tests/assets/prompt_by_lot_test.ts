import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { promptByLot } from "../../src/assets/prompt_by_lot.ts";

const KNOWN = {
  subject: "a person with",
  examples: ["a person with a bun", "a red heart"],
  attributes: {
    hair: ["curly hair", "long curly hair", "a bun", "a bald head"],
    shirt: ["a green shirt", "a red shirt"],
    background: ["green background", "light green background", "blue background"],
  },
};

Deno.test("promptByLot() says something of the first group and, by lot, of the others; else an example", () => {
  const numbers = (from: readonly number[]): () => number => {
    let next = 0;
    return () => from[next++ % from.length]!;
  };
  assertEquals(
    promptByLot(KNOWN, numbers([0.9, 0.1, 0, 0.5])),
    "a person with curly hair, light green background",
  );
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1 }),
      (from) => {
        const prompt = promptByLot(KNOWN, numbers(from));
        assert(prompt.startsWith("a person with "), prompt);
        assert(KNOWN.attributes.hair.some((phrase) => prompt.includes(phrase)), prompt);
        assert(KNOWN.examples.includes(promptByLot({ ...KNOWN, attributes: {} }, numbers(from))));
      },
    ),
  );
});
