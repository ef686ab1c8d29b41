import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { nearestNames, oneOf } from "../src/nearest_names.ts";

const ANIMALS = [
  "tench, Tinca tinca",
  "goldfish, Carassius auratus",
  "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias",
  "hammerhead, hammerhead shark",
  "cock",
  "hen",
  "ostrich, Struthio camelus",
];

Deno.test("nearestNames() finds what a slip of the keys meant, whole or in a sentence", () => {
  for (const given of ["goldfsh", "GOLD FISH", "a photo of a golfish", "carassius auratus"]) {
    assertEquals(nearestNames(given, ANIMALS)[0], ANIMALS[1], given);
  }
  assertEquals(nearestNames("white sharc", ANIMALS)[0], ANIMALS[2]);
  const plans = ["fashion-dit.ddim25.fast", "fashion-dit.ddim50.fast", "fashion-dit.ddim50.slow"];
  assertEquals(nearestNames("fashion-dit.ddim50.slo", plans)[0], plans[2]);
});

Deno.test("oneOf() lists few names whole, and of many the nearest five and their number", () => {
  assertEquals(oneOf([], "x"), "one of none");
  assertEquals(oneOf(["b", "a"], "a"), "one of b, a");
  const many = Array.from({ length: 1000 }, (_, i) => `class ${i}`);
  const text = oneOf(many, "class 77");
  assert(text.startsWith("one of 1000 names such as class 77, "), text);
  assertEquals(text.split(", ").length, 5);
});

Deno.test("nearestNames() gives at most five of the names, the name itself first, of any text", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: "grapheme", maxLength: 3000 }));
  fc.assert(fc.property(fc.uniqueArray(text, { maxLength: 12 }), text, (names, given) => {
    const found = nearestNames(given, names);
    assertEquals(found.length, Math.min(5, names.length));
    assert(found.every((name) => names.includes(name)));
    assertEquals(new Set(found).size, found.length);
  }));
  const word = fc.stringMatching(/^[a-z]{1,20}$/);
  fc.assert(fc.property(fc.uniqueArray(word, { minLength: 1 }), (names) => {
    for (const name of names) assertEquals(nearestNames(name, names)[0], name);
  }));
});
