import { assertEquals } from "@std/assert";
import { matchClass } from "../../src/server/class_match.ts";

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
    assertEquals(
      matchClass(prompt, NAMES, 10),
      { kind: "class", label: NAMES.indexOf(name) },
      prompt,
    );
  }
});

Deno.test("matchClass() guesses nothing: other things, two classes at once, words that only look alike", () => {
  for (const prompt of ["a dog", "a boat", "shirt or sneaker", "", "!!", "10", "bagpipe", "boot"]) {
    const match = matchClass(prompt, NAMES, 10);
    assertEquals(match.kind, "unknown", prompt);
    assertEquals(match.kind === "unknown" && match.nearest.length, 5);
  }
  const match = matchClass("sandl", NAMES, 10);
  assertEquals(match, { kind: "class", label: 5 });
  assertEquals(matchClass("boat", NAMES, 10).kind === "unknown", true);
});

Deno.test("matchClass() takes an index where classes have no names, and the parts of long names", () => {
  assertEquals(matchClass(" 12 ", [], 1000), { kind: "class", label: 12 });
  assertEquals(matchClass("dog", [], 1000), { kind: "unknown", nearest: [] });
  const names = ["tench, Tinca tinca", "goldfish, Carassius auratus"];
  assertEquals(matchClass("a tinca tinca", names, 2), { kind: "class", label: 0 });
});
