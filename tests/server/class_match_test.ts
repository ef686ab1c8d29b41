import { assertEquals, assertStringIncludes } from "@std/assert";
import { matchClass, wantedPrompt } from "../../src/server/class_match.ts";

const NAMES = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot",
];
const FASHION = { classes: 10, classNames: NAMES };

Deno.test("matchClass() finds the class that a prompt names", () => {
  for (
    const [prompt, name] of Object.entries({
      "sneaker": "Sneaker",
      "A photo of two SNEAKERS, on white": "Sneaker",
      "sneeker": "Sneaker",
      "t-shirt": "T-shirt/top",
      "T-shirt/top": "T-shirt/top",
      "a top": "T-shirt/top",
      "shirts": "Shirt",
      "a dress": "Dress",
      "dresses": "Dress",
      "ankle boots": "Ankle boot",
      "trousers": "Trouser",
      "7": "Sneaker",
    })
  ) {
    assertEquals(matchClass(prompt, FASHION), NAMES.indexOf(name), prompt);
  }
});

Deno.test("matchClass() guesses nothing: other things, two classes at once, words that only look alike", () => {
  for (const prompt of ["a dog", "a boat", "shirt or sneaker", "", "!!", "10", "bagpipe", "boot"]) {
    assertEquals(matchClass(prompt, FASHION), undefined, prompt);
  }
  assertEquals(matchClass("sandl", FASHION), 5);
  assertStringIncludes(wantedPrompt("a boot", FASHION), "one of 10 names such as Ankle boot, ");
});

Deno.test("matchClass() takes an index where classes have no names, and the parts of long names", () => {
  const unnamed = { classes: 1000, classNames: [] };
  assertEquals(matchClass(" 12 ", unnamed), 12);
  assertEquals(matchClass("dog", unnamed), undefined);
  assertEquals(wantedPrompt("dog", unnamed), "an index in 0 … 999");
  const names = ["tench, Tinca tinca", "goldfish, Carassius auratus"];
  assertEquals(matchClass("a tinca tinca", { classes: 2, classNames: names }), 0);
});

Deno.test("matchClass() takes the prompt that is a whole name, also where it is a part of another", () => {
  for (const classNames of [["a cat", "a dog, a cat", "7"], ["a dog, a cat", "a cat", "7"]]) {
    const prompts = { classes: 3, classNames };
    for (const [label, name] of classNames.entries()) {
      assertEquals(matchClass(` ${name.toUpperCase()} `, prompts), label, name);
    }
  }
});
