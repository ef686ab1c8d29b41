import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { parseManifest } from "../../src/assets/manifest.ts";
import { AssetError } from "../../src/errors.ts";

const VALID = {
  format: 1,
  id: "fashion-dit",
  architecture: "dit",
  config: { depth: 12 },
  classNames: ["Shirt", "Bag"],
  sampler: { name: "ddim", steps: 50, guidance: 2 },
  licence: "MIT",
  dataNotice: "Fashion-MNIST, MIT",
  sha256: { "x.weight": "0".repeat(64) },
};

Deno.test("parseManifest() reads every field", () => {
  const { sha256, ...manifest } = parseManifest(VALID);
  const { sha256: hashes, ...wanted } = VALID;
  assertEquals<unknown>(manifest, wanted);
  assertEquals([...sha256], Object.entries(hashes));
});

Deno.test("parseManifest() reads the optional fields", () => {
  const fingerprint = `sha256:${"a".repeat(64)}`;
  const prompts = {
    subject: "a cat with",
    examples: ["a cat"],
    attributes: { hat: ["a red hat"] },
  };
  const manifest = parseManifest({ ...VALID, fingerprint, prompts, weights: "int8" });
  assertEquals(manifest.prompts, prompts);
  assertEquals(manifest.fingerprint, fingerprint);
  assertEquals(manifest.weights, "int8");
});

/** A change of a valid manifest → a part of the message. */
const REFUSED: readonly (readonly [unknown, string])[] = [
  [{ format: 2 }, "format must be 1: current value is 2"],
  [{ id: undefined }, "id must be of type string: current value is absent"],
  [{ id: "../x" }, 'id must match /^[a-z0-9][a-z0-9._-]{0,99}$/: current value is "../x"'],
  [{ architecture: 7 }, "architecture must be of type string: current value is 7"],
  [{ config: [] }, "config must be of type record: current value is an array of 0"],
  [{ classNames: [1] }, "classNames.0 must be of type string: current value is 1"],
  [{ licence: "" }, "licence must be at least 1"],
  [{ sha256: { x: "0" } }, "sha256.x must match"],
  [{ fingerprint: "md5:1" }, "fingerprint must match"],
  [{ prompts: ["a cat"] }, "prompts must be of type object"],
  [
    { prompts: { subject: "a", examples: [], attributes: {} } },
    "prompts.examples must be at least",
  ],
  [{ license: "MIT" }, 'it must not have the key "license"'],
];

for (const [change, message] of REFUSED) {
  Deno.test(`parseManifest() refuses ${JSON.stringify(change)}`, () => {
    const json: unknown = { ...VALID, ...Object(change) };
    assertThrows(() => parseManifest(json), AssetError, `Cannot read model.json: ${message}`);
  });
}

function parsesOrRefuses(json: unknown): void {
  try {
    assertEquals(parseManifest(json).format, 1);
  } catch (error) {
    if (!(error instanceof AssetError)) throw error;
    assert(/^Cannot read model\.json: [^\n]{1,400}$/.test(error.message), error.message);
  }
}

Deno.test("any JSON as model.json is a typed error or a manifest", () => {
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.object(),
    fc.constant(undefined),
  );
  fc.assert(fc.property(anything, parsesOrRefuses), { seed: 1, numRuns: 1000 });
});

Deno.test("a manifest with any JSON in any place is a typed error or a manifest", () => {
  const key = fc.constantFrom(...Object.keys(VALID), "__proto__");
  const run = (at: string, value: unknown): void => parsesOrRefuses({ ...VALID, [at]: value });
  fc.assert(fc.property(key, fc.jsonValue(), run), { seed: 2, numRuns: 2000 });
});
