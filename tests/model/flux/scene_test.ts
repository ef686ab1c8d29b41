import { assertEquals, assertThrows } from "@std/assert";
import { type GenerateOptions, resolveRequest } from "../../../src/engine/request.ts";
import { parseFluxConfig } from "../../../src/model/flux/config.ts";
import { gridIds, gridOf, rotationTables } from "../../../src/model/flux/embeddings.ts";
import { fluxModel, publishedSampler } from "../../../src/model/flux/open.ts";
import type { Model } from "../../../src/model/model.ts";
import { type Tensor, zeros } from "../../../src/tensor/tensor.ts";
import { tensor } from "../../tensor/checked_tensor.ts";
import { SMALL_FLUX } from "./small_flux.ts";

/** A model as far as a request looks at it. */
function modelWith(change: Partial<typeof SMALL_FLUX> = {}): Model {
  const config = parseFluxConfig({ ...SMALL_FLUX, ...change });
  const facts = { ...fluxModel(config), id: "small", sampler: publishedSampler(config) };
  return facts as unknown as Model; // no weights are looked at
}

const GIVEN: GenerateOptions = {
  text: zeros([2, 3, 10]),
  pooled: zeros([2, 7]),
  grid: [2, 3],
  noise: zeros([2, 6, 12]),
};

Deno.test("a request of FLUX has a picture for each row of text, and the model's steps and guidance", () => {
  const { labels, steps, guidance, scene } = resolveRequest(modelWith(), GIVEN);
  assertEquals(labels, [0, 1]);
  assertEquals([steps, guidance], [28, 3.5]);
  assertEquals(scene.latentDims, [6, 12]);
  assertEquals(scene.tokenGrid, [2, 3]);
  assertEquals(scene.transformer.sizes, { T: 6, M: 3, "M+T": 9 });
});

Deno.test("labels of FLUX choose rows of text, some twice", () => {
  const noise = zeros([3, 6, 12]);
  const text = tensor([2, 1, 10], Float32Array.from({ length: 20 }, (_, i) => i));
  const { labels, scene } = resolveRequest(modelWith(), {
    ...GIVEN,
    text,
    noise,
    labels: [1, 1, 0],
  });
  const batch = scene.batch(labels, { time: 1, guidance: 1 });
  const inputs = scene.inputs(batch);
  // Inputs are of the batch, not of the pictures: a null half would have rows of its own.
  assertEquals(scene.inputs([...batch, ...batch])["text.features"]?.dims, [6, 1, 10]);
  assertEquals(inputs["text.features"]?.dims, [3, 1, 10]);
  assertEquals([...inputs["text.features"]!.data].filter((_, i) => i % 10 === 0), [10, 10, 0]);
});

Deno.test("pictures of FLUX may have a guidance each, 1 among them", () => {
  const request = resolveRequest(modelWith(), { ...GIVEN, guidance: [1, 4] });
  assertEquals(request.scales, [1, 4]);
  const batch = request.scene.batch(request.labels, { time: 0.5, ...request });
  assertEquals(batch.map(({ scale }) => scale), [1, 4]);
});

Deno.test("negative conditions of FLUX are a null half of the batch, with guidance as its input too", () => {
  const rows = (n: number): Tensor =>
    tensor([n, 1, 10], Float32Array.from({ length: n * 10 }, (_, i) => 100 + i));
  const options = { ...GIVEN, text: zeros([2, 1, 10]), trueGuidance: 2, guidance: [3, 4] };
  const halves = (n: number): string[] => {
    const negativeConditions = { text: rows(n), pooled: zeros([n, 7]) };
    const { labels, scene, ...request } = resolveRequest(modelWith(), {
      ...options,
      negativeConditions,
    });
    assertEquals(request.trueGuidance, 2);
    const batch = scene.batch(labels, { time: 1, ...request });
    const { data } = scene.inputs(batch)["text.features"]!;
    return batch.map(({ label, scale }, i) => `${label} ${scale} ${data[i * 10]}`);
  };
  assertEquals(halves(1), ["0 3 0", "1 4 0", "2 3 100", "2 4 100"]);
  assertEquals(halves(2), ["0 3 0", "1 4 0", "2 3 100", "3 4 110"]);
});

Deno.test("negative conditions without true guidance, and true guidance without them, change no request", () => {
  const negativeConditions = { text: zeros([1, 3, 10]), pooled: zeros([1, 7]) };
  for (
    const change of [{ negativeConditions }, { negativeConditions, trueGuidance: 1 }, {
      trueGuidance: 3,
    }]
  ) {
    const { labels, guidance, scene, trueGuidance } = resolveRequest(modelWith(), {
      ...GIVEN,
      ...change,
    });
    assertEquals([scene.batch(labels, { time: 1, guidance }).length, trueGuidance], [2, undefined]);
  }
});

Deno.test("a request that does not fit FLUX is refused with wanted and got", () => {
  const refuses = (change: GenerateOptions, message: string, model = modelWith()): unknown =>
    assertThrows(() => resolveRequest(model, { ...GIVEN, ...change }), RangeError, message);
  refuses({ text: zeros([2, 3, 11]) }, "text must be (n, M, 10): current value is [2,3,11]");
  refuses({ text: undefined }, "text must be given with pooled: (2, M, 10): current value is none");
  refuses({ pooled: undefined }, "pooled must be given with text: (2, 7): current value is none");
  refuses(
    { pooled: zeros([3, 7]) },
    "pooled must be [2,7], a row for each of text: current value is [3,7]",
  );
  const negative = (text: Tensor, pooled: Tensor): GenerateOptions => ({
    trueGuidance: 2,
    negativeConditions: { text, pooled },
  });
  refuses(
    negative(zeros([1, 4, 10]), zeros([1, 7])),
    "negative text must be [1 or 2,3,10]: current value is [1,4,10]",
  );
  refuses(
    negative(zeros([3, 3, 10]), zeros([3, 7])),
    "negative text must be [1 or 2,3,10]: current value is [3,3,10]",
  );
  refuses(
    negative(zeros([1, 3, 10]), zeros([2, 7])),
    "pooled must be [1,7], a row for each of text",
  );
  refuses(
    { ...negative(zeros([1, 3, 10]), zeros([1, 7])), text: undefined, pooled: undefined },
    "text must be given with negative conditions: current value is none",
  );
  refuses({ trueGuidance: -1 }, "trueGuidance must be at least 0: current value is -1");
  refuses({ trueGuidance: NaN }, "trueGuidance must be at least 0: current value is NaN");
  refuses(
    { text: undefined, pooled: undefined },
    "text and pooled must be given to small: current value is none",
  );
  refuses(
    { conditions: { mask: zeros([2, 3]) } },
    "conditions must be text, pooled, image_ids: current value is mask",
  );
  refuses({ grid: [2] }, "grid must be rows and columns of at least 1: current value is 2");
  refuses({ grid: [2, 3, 1] }, "grid must be rows and columns of at least 1");
  const most = "grid must be of at most 65536 tokens: current value is ";
  refuses({ grid: [256, 257] }, `${most}256 × 257`);
  refuses({ grid: [99_999, 99_999] }, `${most}99999 × 99999`);
  refuses({ grid: [1e200, 1e200] }, most);
  refuses({ grid: [2, 4] }, "grid must be of 6 tokens, as noise has: current value is 8 tokens");
  refuses({ grid: [0, 6] }, "grid must be rows and columns of at least 1: current value is 0 × 6");
  refuses(
    { imageIds: gridIds([3, 3], 3), grid: undefined },
    "image_ids must be of 6 tokens, as noise has: current value is 9 tokens",
  );
  refuses(
    { imageIds: gridIds([3, 3], 3) },
    "image_ids must be 6 rows, as grid 2 × 3 has tokens: current value is 9",
  );
  refuses(
    { imageIds: gridIds([3, 2], 3) },
    "grid must be 3 × 2, as image_ids are: current value is 2 × 3",
  );
  refuses({ imageIds: zeros([6, 2]) }, "image_ids must be (T, 3): current value is [6,2]");
  refuses({ grid: undefined }, "grid must be of 6 tokens, as noise has: current value is 4096");
  refuses({ noise: zeros([1, 6, 12]) }, "noise must be [2,6,12]: current value is [1,6,12]");
  refuses({ noise: zeros([2, 6, 16]) }, "noise must be [2,6,12]: current value is [2,6,16]");
  refuses({ labels: [2] }, "label must be an index in 0 … 1: current value is 2");
  const without = modelWith({ guidance_embeds: false });
  assertEquals(resolveRequest(without, GIVEN).guidance, 1);
  refuses(
    { guidance: 3.5 },
    "guidance must be at most 1 for a model without a guidance embedding: current value is 3.5",
    without,
  );
  const nan = tensor([2, 7], new Float32Array(14).fill(NaN));
  refuses({ pooled: nan }, "pooled must be finite numbers");
});

Deno.test("any positions are taken; those of a whole grid in order are recognised", () => {
  assertEquals(gridOf(gridIds([3, 5], 3)), [3, 5]);
  const shifted = gridIds([2, 3], 3);
  const imageIds = { dims: shifted.dims, data: shifted.data.map((x) => x + 0.5) };
  assertEquals(gridOf(imageIds), undefined);
  const { scene } = resolveRequest(modelWith(), { ...GIVEN, imageIds, grid: undefined });
  assertEquals(scene.tokenGrid, undefined);
  assertEquals(scene.latentDims, [6, 12]);
});

Deno.test("rotationTables() turn text by nothing and tokens by position × frequency of each axis", () => {
  const { cos, sin } = rotationTables(gridIds([1, 2], 3), { axesDims: [2, 4, 2], textTokens: 1 });
  assertEquals(cos.dims, [3, 4]);
  assertEquals([...cos.data.slice(0, 8)], [1, 1, 1, 1, 1, 1, 1, 1]); // text, and row 0 of column 0
  assertEquals([...sin.data.slice(8)], [0, 0, 0, Math.fround(Math.sin(1))]); // column 1
  assertEquals(cos.data[11], Math.fround(Math.cos(1)));
});
