/** The page's reading of what a PNG says against the engine's own. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  parseRecord,
  type PictureRecord,
  recordText,
  TEXT_KEYWORD,
} from "../../src/engine/picture_record.ts";
import { encodePng } from "../../src/image/png.ts";
import { readDropped } from "../../src/page/dropped.ts";
import type { ModelView, PlanView } from "../../src/page/contract.ts";
import { readPngRecord } from "../../src/page/png_record.ts";

const PIXEL = { width: 1, height: 1, channels: 1, pixels: new Uint8Array(1) } as const;
const NONE = { nil: undefined };
const RECORD: PictureRecord = {
  model: "toy",
  fingerprint: "sha256:toy",
  labels: [3],
  seed: 7,
  steps: 4,
  guidance: 2,
  plan: { name: "toy.fast", digest: "sha256:plan" },
};
const MODEL = {
  id: "toy",
  fingerprint: "sha256:toy",
  plans: ["toy.quick"],
  sampler: { name: "ddim", steps: 4, guidance: 2 },
} as unknown as ModelView; // the fields that are looked at
const PLAN = { id: "toy.quick", digest: "sha256:plan" } as unknown as PlanView; // the same
const OFFER = { models: [MODEL], plans: [PLAN] };

Deno.test("readPngRecord() reads what parseRecord() reads, and refuses what it refuses", async () => {
  const json = fc.oneof(
    fc.record({
      model: fc.string(),
      fingerprint: fc.string(),
      labels: fc.array(fc.nat(1), { minLength: 1, maxLength: 3 }),
      prompts: fc.option(fc.array(fc.record({ prompt: fc.string() }), { maxLength: 2 }), NONE),
      seed: fc.option(fc.nat(), NONE),
      solver: fc.option(fc.string(), NONE),
      steps: fc.oneof(fc.nat(), fc.double(), fc.constant("4")),
      guidance: fc.oneof(fc.integer(), fc.constant(null)),
    }),
    fc.jsonValue(),
  );
  await fc.assert(fc.asyncProperty(json, async (value) => {
    const text = { [TEXT_KEYWORD]: JSON.stringify(value) };
    const wanted = parseRecord(text);
    const read = readPngRecord(await encodePng(PIXEL, text));
    const first = wanted?.labels[0];
    if (wanted === undefined || first === undefined) return assertEquals(read === undefined, true);
    assertEquals([read?.model, read?.fingerprint, read?.pictures, read?.steps], [
      ...[wanted.model, wanted.fingerprint, wanted.labels.length, wanted.steps],
    ]);
    assertEquals([read?.seed, read?.guidance, read?.sampler], [
      ...[wanted.seed, wanted.guidance, wanted.solver],
    ]);
    assertEquals(read?.prompt, wanted.prompts?.[first]?.prompt);
    assertEquals(read?.label, wanted.prompts === undefined ? first : undefined);
  }));
});

Deno.test("a dropped picture of ours is what draws it again, its plan found by digest", async () => {
  assertEquals(await dropped(RECORD), {
    kind: "drawn",
    linked: { model: "toy", label: 3, seed: 7, steps: 4, guidance: 2, plan: "toy.quick" },
    pictures: 1,
  });
  const full = await dropped({ ...RECORD, plan: undefined, labels: [1, 2], solver: "ddim" });
  assertEquals(full, {
    kind: "drawn",
    linked: { model: "toy", label: 1, seed: 7, steps: 4, guidance: 2, plan: "none" },
    pictures: 2,
  });
});

Deno.test("what cannot be drawn again is told in words that a visitor understands", async () => {
  const words = async (record: Partial<PictureRecord>): Promise<string> => {
    const found = await dropped({ ...RECORD, ...record });
    return found.kind === "refused" ? found.words : found.kind;
  };
  assertEquals(
    await words({ fingerprint: "sha256:other", model: "flux" }),
    "a.png was drawn by flux, which is not what this server has.",
  );
  assertEquals(
    await words({ fingerprint: "sha256:other" }),
    "a.png was drawn by other weights of toy than this server has.",
  );
  const cannot = "this page cannot draw it again.";
  assertEquals(
    await words({ plan: { name: "toy.fast", digest: "sha256:gone" } }),
    `a.png was drawn with the plan toy.fast, which this server does not have: ${cannot}`,
  );
  assertEquals(
    await words({ seed: undefined }),
    `a.png was drawn with given noise, which no seed tells: ${cannot}`,
  );
  assertEquals(
    await words({ grid: [4, 4] }),
    `a.png was drawn with a size of its own: ${cannot}`,
  );
  const two = { labels: [0], prompts: [{ prompt: "a", prompt2: "b" }] };
  assertEquals(await words(two), `a.png was drawn with a second prompt: ${cannot}`);
  const decided = { policy: "teacache:threshold=0.2" };
  assertEquals(await words(decided), `a.png was drawn with ${decided.policy}: ${cannot}`);
  const parallel = "srds:segments=5";
  assertEquals(await words({ parallel }), `a.png was drawn with ${parallel}: ${cannot}`);
});

Deno.test("files of every other kind are told apart: no record, no picture, damaged, 50 MB", async () => {
  const plain = await encodePng(PIXEL);
  const file = (bytes: Uint8Array<ArrayBuffer>, type = "image/png"): File =>
    new File([bytes], "a.png", { type });
  assertEquals(await readDropped(file(plain), OFFER), { kind: "picture" });
  assertEquals(await readDropped(file(plain, "image/webp"), OFFER), { kind: "picture" });
  const nonsense = await encodePng(PIXEL, { [TEXT_KEYWORD]: "{" });
  assertEquals(await readDropped(file(nonsense), OFFER), { kind: "picture" });
  const refusals: readonly (readonly [File, string])[] = [
    [file(plain, "text/plain"), "a.png is no picture."],
    [file(plain.slice(0, 40)), "a.png is damaged: it is no whole PNG."],
    [file(new Uint8Array(0)), "a.png is damaged: it is no whole PNG."],
    [file(new Uint8Array(50e6)), "a.png is too large: it has 50 MB, and 20 MB are the most."],
  ];
  for (const [each, words] of refusals) {
    assertEquals(await readDropped(each, OFFER), { kind: "refused", words });
  }
});

async function dropped(record: PictureRecord): ReturnType<typeof readDropped> {
  const file = new File([await encodePng(PIXEL, recordText(record))], "a.png", {
    type: "image/png",
  });
  return await readDropped(file, OFFER);
}
