import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  parseRecord,
  recordOf,
  recordText,
  TEXT_KEYWORD,
} from "../../src/engine/picture_record.ts";
import { encodePng } from "../../src/image/png.ts";
import { readPngText } from "../../src/image/png_text.ts";

/** Any text of whole characters, NUL among them. */
const TEXT = fc.string({ unit: "binary" });

const whole = fc.integer({ min: 0 });
const prompt = fc.record(
  { prompt: TEXT, prompt2: TEXT, negativePrompt: TEXT },
  { noNullPrototype: true, requiredKeys: ["prompt"] },
);
const plainRecords = fc.record({
  model: fc.string(),
  fingerprint: fc.string(),
  labels: fc.array(whole),
  grid: fc.array(whole),
  steps: whole,
  guidance: fc.double({ noNaN: true, noDefaultInfinity: true }).map((scale) => scale + 0), // no -0
  trueGuidance: fc.double({ min: 1, noNaN: true, noDefaultInfinity: true }),
  seed: fc.maxSafeNat(),
  sampler: fc.constant("original" as const),
  weights: fc.constantFrom("f32", "int8", "int4"),
  precision: fc.constantFrom("f32", "f16"),
  plan: fc.record({ name: fc.string(), digest: fc.string() }, { noNullPrototype: true }),
  policy: fc.string(),
}, {
  noNullPrototype: true,
  requiredKeys: ["model", "fingerprint", "labels", "steps", "guidance", "weights", "precision"],
});

/** Some with prompts, which labels choose from. */
const records = fc.oneof(
  plainRecords,
  fc.tuple(plainRecords, fc.array(prompt, { minLength: 1 })).map(([record, prompts]) => ({
    ...record,
    prompts,
    labels: record.labels.map((label) => label % prompts.length),
  })),
);

Deno.test("parseRecord() gives back what recordText() wrote, through a PNG too", async () => {
  const check = fc.asyncProperty(records, async (record) => {
    const text = recordText(record);
    assertEquals(parseRecord(text), record);
    const pixel = { width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) } as const;
    assertEquals(parseRecord(readPngText(await encodePng(pixel, text))), record);
  });
  await fc.assert(check);
});

Deno.test("a record of some pictures has only their prompts, and a prompt of 100 kB is kept whole", async () => {
  const prompts = [{ prompt: "a" }, { prompt: "漢".repeat(33_000) }, { prompt: "c", prompt2: "d" }];
  const facts = { model: "m", fingerprint: "f" };
  const run = { prompts, steps: 4, guidance: 3, trueGuidance: 2 };
  const { labels, prompts: used } = recordOf(run, { labels: [2, 1, 2], seed: 5 }, facts);
  assertEquals([labels, used], [[0, 1, 0], [prompts[2]!, prompts[1]!]]);
  const pixel = { width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) } as const;
  const png = await encodePng(pixel, recordText(recordOf(run, { labels: [1], seed: 5 }, facts)));
  assertEquals(parseRecord(readPngText(png))?.prompts, [prompts[1]!]);
});

Deno.test("parseRecord() finds none in texts of others, and says f32 where a record says no precision", () => {
  const whole = { model: "m", fingerprint: "f", labels: [1], steps: 4, guidance: 1 };
  const text = (record: unknown): Record<string, string> => ({
    [TEXT_KEYWORD]: JSON.stringify(record),
  });
  assertEquals(parseRecord(text(whole)), { ...whole, weights: "f32", precision: "f32" });
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
      text({ ...whole, precision: "int8" }),
      text({ ...whole, sampler: 7 }),
      text({ ...whole, plan: { name: "p" } }),
      text({ ...whole, prompts: ["a cat"] }),
      text({ ...whole, prompts: [{ prompt: "a cat" }] }), // there is no second one, label 1
      text({ ...whole, prompts: [{ prompt: 1 }, { prompt: 2 }] }),
      text({ ...whole, trueGuidance: "2" }),
      text({ ...whole, grid: [0.5] }),
    ]
  ) assertEquals(parseRecord(texts as Record<string, string>), undefined, JSON.stringify(texts));
});
