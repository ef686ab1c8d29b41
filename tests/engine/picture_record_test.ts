import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseRecord, recordText, TEXT_KEYWORD } from "../../src/engine/picture_record.ts";

const whole = fc.integer({ min: 0 });
const records = fc.record({
  model: fc.string(),
  fingerprint: fc.string(),
  labels: fc.array(whole),
  steps: whole,
  guidance: fc.double({ noNaN: true, noDefaultInfinity: true }).map((scale) => scale + 0), // no -0
  seed: fc.maxSafeNat(),
  sampler: fc.constant("original" as const),
  weights: fc.constantFrom("f32", "int8", "int4"),
  plan: fc.record({ name: fc.string(), digest: fc.string() }, { noNullPrototype: true }),
}, {
  noNullPrototype: true,
  requiredKeys: ["model", "fingerprint", "labels", "steps", "guidance", "weights"],
});

Deno.test("parseRecord() gives back what recordText() wrote", () => {
  fc.assert(fc.property(records, (record) => {
    assertEquals(parseRecord(recordText(record)), record);
  }));
});

Deno.test("parseRecord() finds none in texts of others, and says f32 where a record says no precision", () => {
  const whole = { model: "m", fingerprint: "f", labels: [1], steps: 4, guidance: 1 };
  const text = (record: unknown): Record<string, string> => ({
    [TEXT_KEYWORD]: JSON.stringify(record),
  });
  assertEquals(parseRecord(text(whole)), { ...whole, weights: "f32" });
  for (
    const texts of [
      {},
      { Software: "another" },
      { [TEXT_KEYWORD]: "{" },
      { [TEXT_KEYWORD]: "" },
      text(null),
      text([]),
      text({ ...whole, steps: "4" }),
      text({ ...whole, labels: [0.5] }),
      text({ ...whole, weights: "f16" }),
      text({ ...whole, sampler: "model" }),
      text({ ...whole, plan: { name: "p" } }),
    ]
  ) assertEquals(parseRecord(texts as Record<string, string>), undefined, JSON.stringify(texts));
});
