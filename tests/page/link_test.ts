import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  formatLink,
  formatLinked,
  type LinkedEdit,
  linkedOf,
  parseLink,
} from "../../src/page/link.ts";
import type { RunRequest } from "../../src/page/run.ts";

const NONE = { nil: undefined };
const TENTHS = fc.integer({ min: 0, max: 100 }).map((tenths) => tenths / 10);
const DIGEST = fc.string({
  unit: fc.constantFrom(..."0123456789abcdef"),
  minLength: 64,
  maxLength: 64,
})
  .map((digits) => `sha256:${digits}`);
const NAME = fc.string({ minLength: 1, maxLength: 200 });
const REQUEST: fc.Arbitrary<RunRequest> = fc.record({
  model: NAME,
  prompt: fc.string({ unit: "grapheme" }),
  negativePrompt: fc.option(fc.string({ unit: "grapheme" }), NONE),
  trueGuidance: fc.option(TENTHS, NONE),
  seed: fc.nat(),
  steps: fc.integer({ min: 1, max: 1000 }),
  sampler: fc.option(NAME, NONE),
  guidance: TENTHS,
  plan: fc.option(NAME, NONE),
  engine: fc.option(fc.constantFrom("auto", "webgpu", "wasm"), NONE),
});
const BEGINS: fc.Arbitrary<LinkedEdit> = fc.record({
  image: DIGEST,
  mask: fc.option(DIGEST, NONE),
  strength: fc.integer({ min: 1, max: 20 }).map((twentieths) => twentieths / 20),
});

Deno.test("a link says all of a request and of what it begins from, whatever its prompt", () => {
  fc.assert(fc.property(REQUEST, fc.option(BEGINS, NONE), (request, begins) => {
    const link = formatLink(request, begins);
    assert(/^#[\x21-\x7e]*$/.test(link), link);
    const read = parseLink(link);
    assertEquals(read?.misread, []);
    assertEquals(defined(read!.linked), defined({ ...linkedOf(request), begins }));
    assertEquals(formatLinked(read!.linked), link);
  }));
  const ofClass: RunRequest = { model: "a", label: 7, seed: 3, steps: 4, guidance: 2 };
  assertEquals(parseLink(formatLink(ofClass))?.linked, { ...ofClass, plan: "none" });
});

Deno.test("parseLink() takes what it can, and names what is nothing of ours", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const cases: readonly (readonly [string, object, readonly string[]])[] = [
    ["#prompt=a+fox", { prompt: "a fox" }, []],
    ["#prompt=", { prompt: "" }, []],
    ["#prompt=a&other=1", { prompt: "a" }, []],
    [
      "#prompt=a%20fox&seed=-1&steps=0.5&guidance=x&plan=fast&engine=abacus",
      { prompt: "a fox", plan: "fast" },
      ["seed", "steps", "guidance", "engine"],
    ],
    [
      "#label=7&seed=99999999999999999999&steps=2000&guidance=1e9",
      { label: 7 },
      ["seed", "steps", "guidance"],
    ],
    ["#label=7&steps=0&guidance=", { label: 7 }, ["steps", "guidance"]],
    ["#label=x", {}, ["label"]],
    ["#prompt=%ff%00", { prompt: "\ufffd\0" }, []],
    [`#prompt=${"x".repeat(32_001)}`, {}, ["prompt"]],
    [`#label=1&model=${"x".repeat(201)}`, { label: 1 }, ["model"]],
    [`#label=1&image=${digest}`, { label: 1 }, ["image"]],
    [`#label=1&image=${digest}&strength=2`, { label: 1 }, ["image"]],
    [`#label=1&image=${digest}&mask=x&strength=1`, { label: 1 }, ["image"]],
    ["#label=1&image=../../etc&strength=1", { label: 1 }, ["image"]],
  ];
  for (const [link, linked, misread] of cases) {
    assertEquals(parseLink(link), { linked, misread }, link.slice(0, 60));
  }
  for (const other of ["", "#", "#stage", "#seed=3", "#%%%", "prompt", "#\0"]) {
    const read = parseLink(other);
    assertEquals(read === undefined || Object.keys(read.linked).length > 0, true, other);
  }
});

/** Without what is undefined. */
function defined(value: object): object {
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined).map(
      ([key, each]) => [key, typeof each === "object" ? defined(each) : each],
    ),
  );
}
