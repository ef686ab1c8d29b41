import { assertEquals, assertRejects } from "@std/assert";
import { EMBEDDED_ID } from "../../src/engine/embedded_model.ts";
import { openEngine } from "../../src/engine/engine.ts";
import { quoted } from "../../src/engine/prompt_texts.ts";
import { type EncodedRequest, encodePrompts } from "../../src/engine/prompts.ts";
import type { GenerateOptions } from "../../src/engine/request.ts";
import { normalNoise } from "../../src/tensor/random.ts";
import { assertClose } from "../conformance/compare.ts";
import { LetterEncoder } from "./letter_encoder.ts";

const FLUX_A = new URL("../golden/flux-a/", import.meta.url);
const SMALL = { grid: [2, 3], steps: 2, seed: 5, plan: "none", output: "latents" } as const;

type Facts = Parameters<typeof encodePrompts>[0];
const FLUX: Facts = { id: "flux-a", classes: 0, classNames: [] };
const DIT: Facts = { id: "small", classes: 2, classNames: ["T-shirt/top", "Sneaker"] };

Deno.test("prompts give the pictures that their features give, and --count takes them in turn", async () => {
  const promptEncoder = new LetterEncoder();
  const pipeline = await openEngine({ backend: "wasm", model: FLUX_A, promptEncoder });
  const prompts = ["a cat", "a dog on a boat", "a cat"];
  const { conditions } = await promptEncoder.encode(prompts.map((prompt) => ({ prompt })));
  const wanted = await pipeline.generate({ ...SMALL, conditions });
  const { latents, labels, notices } = await pipeline.generate({ ...SMALL, prompts });
  assertEquals(latents, wanted.latents);
  assertEquals(labels, [0, 1, 0]);
  assertEquals(promptEncoder.asked.at(-1), [{ prompt: "a cat" }, { prompt: "a dog on a boat" }]);
  assertEquals(notices, [
    'T5 reads 9 of the 15 tokens of "a dog on a boat"; the rest is left out.',
  ]);
  const one = await pipeline.generate({ ...SMALL, prompt: "a cat", seeds: [5, 7] });
  assertEquals(one.latents.data.subarray(0, 6 * 8), wanted.latents.data.subarray(0, 6 * 8));
  const cycled = await pipeline.generate({ ...SMALL, prompts: prompts.slice(0, 2), count: 3 });
  assertEquals(cycled.latents, wanted.latents);
  await pipeline.close();
});

Deno.test("a second text reaches the second encoder, and distinct texts are encoded once", async () => {
  const encoder = new LetterEncoder();
  const { options, prompts } = await encodePrompts(FLUX, {
    prompts: ["a", "b", "a"],
    prompt2: ["x", "x", "yy"],
    negativePrompt: ["b", "", "b"],
    trueGuidance: 2,
    seed: 3,
  }, encoder);
  assertEquals(encoder.asked, [[
    { prompt: "a", prompt2: "x" },
    { prompt: "b", prompt2: "x" },
    { prompt: "a", prompt2: "yy" },
    { prompt: "b" },
    { prompt: "" },
  ]]);
  assertEquals([options.labels, options.seed], [[0, 1, 2], 3]);
  assertEquals(options.negativeConditions?.["pooled"]?.dims, [3, 20]);
  assertEquals(prompts[1], { prompt: "b", prompt2: "x", negativePrompt: "" });
  const one = { prompts: ["a", "b"], negativePrompt: "ugly", trueGuidance: 2 };
  const { options: shared } = await encodePrompts(FLUX, one, encoder);
  assertEquals(shared.negativeConditions?.["text"]?.dims, [1, 2, 24]);
});

Deno.test("prompts beyond the pictures that are asked for are neither encoded nor told", async () => {
  const encoder = new LetterEncoder();
  const given = { prompts: ["a", "b", "c"], prompt2: ["x", "y", "z"] };
  const { options, prompts } = await encodePrompts(FLUX, { ...given, count: 2 }, encoder);
  const wanted = [{ prompt: "a", prompt2: "x" }, { prompt: "b", prompt2: "y" }];
  assertEquals([encoder.asked, prompts, options.labels], [[wanted], wanted, [0, 1]]);
  for (const count of [0, NaN, -1]) {
    const { prompts } = await encodePrompts(FLUX, { ...given, count }, encoder);
    assertEquals(prompts.length, 3); // such a count is refused later, by name
  }
});

Deno.test("a negative prompt without true guidance, or the other way round, is not encoded but said", async () => {
  const noticesOf = async (options: GenerateOptions): Promise<readonly string[]> => {
    const encoder = new LetterEncoder();
    const encoded = await encodePrompts(FLUX, { prompt: "a", ...options }, encoder);
    assertEquals(encoder.asked, [[{ prompt: "a" }]]);
    assertEquals(encoded.options.negativeConditions, undefined);
    return encoded.notices;
  };
  const idle =
    "The negative prompt has no effect, for true guidance is not above 1 (2 to 4 is usual).";
  assertEquals(await noticesOf({ negativePrompt: "x" }), [idle]);
  assertEquals(await noticesOf({ negativePrompt: "", trueGuidance: 1 }), [idle]);
  assertEquals(await noticesOf({ trueGuidance: 4 }), [
    "True guidance has no effect without a negative prompt, which may be empty.",
  ]);
  assertEquals(await noticesOf({ trueGuidance: 0.5 }), []);
});

Deno.test("texts that no tokenizer would expect are prompts, and half characters are none", async () => {
  for (const prompt of ["", "  \t\n", "\0", "x".repeat(100_000), "ꙮ 𒀀 漢字 👩🏽‍🚀"]) {
    const encoder = new LetterEncoder();
    const { prompts } = await encodePrompts(FLUX, { prompt }, encoder);
    assertEquals([prompts, encoder.asked], [[{ prompt }], [[{ prompt }]]]);
  }
  for (const prompt of ["\ud83d", "a\udc00b", 7, null, ["a"]]) {
    const wrong = { prompts: ["a", prompt as string] }; // as a caller in JavaScript may
    await assertRejects(
      () => encodePrompts(FLUX, wrong, new LetterEncoder()),
      TypeError,
      "prompt must be a text of whole characters",
    );
  }
});

Deno.test("prompts that go with nothing else that is given are refused", async () => {
  const refuses = async (
    options: GenerateOptions,
    message: string,
    model = FLUX,
  ): Promise<void> => {
    await assertRejects(() => encodePrompts(model, options, new LetterEncoder()), Error, message);
  };
  const text = normalNoise([1, 2, 24], 0);
  await refuses({ prompt: "a", prompts: ["b"] }, "prompt must not be given together with prompts");
  await refuses({ prompt: "a", label: 0 }, "label must not be given together with prompt");
  await refuses({ prompts: ["a"], labels: [0] }, "labels must not be given together with prompts");
  await refuses({ prompts: [] }, "prompts must be one or more: current value is none");
  await refuses({ prompt2: "a" }, "prompt2 must be given together with prompt");
  await refuses({ negativePrompt: "a" }, "negativePrompt must be given together with prompt");
  await refuses(
    { prompts: ["a"], prompt2: ["b", "c"] },
    "prompt2 must be one text or 1, one for each prompt: current value is 2",
  );
  await refuses(
    { prompts: ["a", "b"], negativePrompt: [] },
    "negativePrompt must be one text or 2, one for each prompt: current value is 0",
  );
  const both = "prompts must not be given together with text or pooled";
  await refuses({ prompt: "a", text }, both);
  await refuses({ prompt: "a", conditions: { text } }, both);
  const none = (): Promise<unknown> => encodePrompts(FLUX, { prompt: "a" }, undefined);
  await assertRejects(none, TypeError, "flux-a has no text encoder");
  const nearest =
    "label instead of prompt must be an index in 0 … 1 or one of T-shirt/top, Sneaker";
  await refuses({ prompt: "a sneeker" }, nearest, DIT);
  await refuses({ label: 1, negativePrompt: "a" }, "nothing negative must be given", DIT);
  await refuses({ negativeConditions: { text } }, "nothing negative must be given", DIT);
});

Deno.test("true guidance leads from the negative prediction through the other, in all channels and pictures", async () => {
  const pipeline = await openEngine({
    backend: "wasm",
    model: FLUX_A,
    promptEncoder: new LetterEncoder(),
  });
  const options = { ...SMALL, steps: 1, guidance: 3 }; // latents of one step are linear in the prediction
  const prompts = ["a cat", "a dog"];
  const negativePrompt = ["", "grey and blurred"];
  const [positive, negative, guided] = [
    await pipeline.generate({ ...options, prompts }),
    await pipeline.generate({ ...options, prompts: negativePrompt }),
    await pipeline.generate({ ...options, prompts, negativePrompt, trueGuidance: 2.5 }),
  ].map(({ latents }) => latents);
  const wanted = positive!.data.map((value, i) => {
    return negative!.data[i]! + 2.5 * (value - negative!.data[i]!);
  });
  assertEquals(pipeline.backend.live.values, 0);
  await pipeline.close();
  assertClose(guided!, { ...guided!, data: wanted }, { tolerance: 1e-6, what: "latents" });
});

Deno.test("a model draws its examples where a request asks for nothing, and no labels", async () => {
  const examples = ["a cat", "a dog"];
  const own: Facts = { ...FLUX, prompts: { subject: "a", examples, attributes: {} } };
  const drawn = async (options: GenerateOptions, model = own): Promise<EncodedRequest> =>
    await encodePrompts(model, options, new LetterEncoder());
  const { prompts, options } = await drawn({ count: 3 });
  assertEquals([prompts, options.labels, options.count], [
    [{ prompt: "a cat" }, { prompt: "a dog" }],
    [0, 1],
    3,
  ]);
  const led = await drawn({ negativePrompt: "x", trueGuidance: 2 });
  assertEquals(led.prompts[1], { prompt: "a dog", negativePrompt: "x" });
  const tensors = { text: normalNoise([1, 2, 24], 0), pooled: normalNoise([1, 20], 0) };
  assertEquals((await drawn({ ...tensors, label: 0 })).prompts, []);
  assertEquals((await drawn({ conditions: tensors })).prompts, []);
  const said = 'knows words and no classes; prompt instead of label must be such as "Bag"';
  await assertRejects(() => drawn({ label: "Bag" }), RangeError, said);
  await assertRejects(() => drawn({ labels: ["Bag"] }, FLUX), RangeError, said);
  await assertRejects(() => drawn({}, FLUX), RangeError, "prompt must be given to flux-a");
  const embedded = { ...own, id: EMBEDDED_ID };
  await assertRejects(
    () => drawn({ label: 3 }, embedded),
    RangeError,
    "--model models/fashion-dit",
  );
});

Deno.test("a long prompt is quoted by its beginning, of whole characters", () => {
  assertEquals(quoted('a "b"\n', 7), '"a \\"b\\"\\n"');
  assertEquals([quoted("abcd", 3), quoted("ab😀", 3), quoted("ab😀", 4)], [
    '"abc…"',
    '"ab…"',
    '"ab😀"',
  ]);
});
