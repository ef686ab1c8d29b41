import { assertEquals, assertThrows } from "@std/assert";
import { type GenerateOptions, resolveRequest } from "../../src/engine/request.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { ditModel } from "../../src/model/dit/open.ts";
import type { Model } from "../../src/model/model.ts";
import { normalRows } from "../../src/tensor/random.ts";
import { zeros } from "../../src/tensor/tensor.ts";

type Facts = Pick<Model, "classes" | "classNames" | "sampler" | "scene">;

const TINY = {
  input_size: 4,
  patch_size: 2,
  in_channels: 1,
  hidden_size: 16,
  depth: 1,
  num_heads: 2,
};
const { scene: SCENE } = ditModel(parseDitConfig(TINY));

/** A model as far as a request looks at it. */
function modelWith(facts: Partial<Facts> = {}): Model {
  const known: Facts = {
    classes: 3,
    classNames: ["T-shirt/top", "Bag", "7"],
    sampler: { name: "ddim", steps: 50, guidance: 2 },
    scene: SCENE,
    ...facts,
  };
  return known as Model; // no weights are looked at
}

function unguided(): Model {
  return modelWith(ditModel(parseDitConfig({ ...TINY, num_classes: 3, class_dropout_prob: 0 })));
}

Deno.test("resolveRequest() fills in the model's steps and guidance, seed 0 and all of few classes", () => {
  const { scene, sampler, sampling: _, noise, ...rest } = resolveRequest(modelWith(), {});
  assertEquals(rest, { labels: [0, 1, 2], seeds: [0, 1, 2], steps: 50, guidance: 2 });
  assertEquals([scene.latentDims, sampler.times.length], [[1, 4, 4], 50]);
  assertEquals(noise, normalRows([1, 4, 4], [0, 1, 2]));
});

Deno.test("resolveRequest() takes the first ten of many classes", () => {
  const { labels } = resolveRequest(modelWith({ classes: 1000, classNames: [] }), {});
  assertEquals(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("resolveRequest() keeps what was asked for", () => {
  const noise = zeros([2, 1, 4, 4]);
  const options = { labels: [2, "bag"], seed: 9, steps: 7, guidance: 1.5, noise };
  const { scene: _, sampler, sampling, ...rest } = resolveRequest(modelWith(), options);
  assertEquals(rest, { labels: [2, 1], seeds: [], steps: 7, guidance: 1.5, noise });
  assertEquals([sampler.times.length, sampling.name], [7, "ddim"]);
  const seeds = resolveRequest(modelWith(), { labels: [1, 1], seeds: [7, 3] });
  assertEquals(seeds.seeds, [7, 3]);
  assertEquals(seeds.noise, normalRows([1, 4, 4], [7, 3]));
});

Deno.test("resolveRequest() takes another solver than the model's, with its steps", () => {
  const { sampler, sampling, solver, steps } = resolveRequest(modelWith(), { sampler: "heun" });
  assertEquals([sampling.name, solver, steps, sampler.times.length], ["heun", "heun", 49, 49]);
  assertEquals(sampling.guidance, 2);
  assertThrows(
    () => resolveRequest(modelWith(), { sampler: "flow-euler" }),
    RangeError,
    "Cannot sample: sampler must be one of",
  );
});

Deno.test("resolveRequest() guides a model without a null label with 1 and refuses more", () => {
  assertEquals(resolveRequest(unguided(), {}).guidance, 1);
  assertEquals(resolveRequest(unguided(), { guidance: 1 }).guidance, 1);
  assertThrows(
    () => resolveRequest(unguided(), { guidance: 2 }),
    RangeError,
    "guidance must be at most 1 for a model without a null label: current value is 2",
  );
});

Deno.test("a guidance scale of at most 1 is no guidance, as in the published pipelines", () => {
  for (const model of [modelWith(), unguided()]) {
    for (const guidance of [0, 0.5, 1]) {
      assertEquals(resolveRequest(model, { guidance }).guidance, 1);
    }
  }
  const each = { labels: [0, 1], guidance: [0, 0.5] };
  assertEquals(resolveRequest(modelWith(), each).scales, [1, 1]);
  assertThrows(
    () => resolveRequest(modelWith(), { ...each, guidance: [0, 4] }),
    RangeError,
    "all above 1 or none",
  );
  const embeds = modelWith({ scene: (given) => ({ ...SCENE(given), guidedBy: "scale" }) });
  assertEquals(resolveRequest(embeds, { guidance: 0 }).guidance, 0); // the model is given the number
});

Deno.test("resolveRequest() refuses what is out of range and says what, wanted and got", () => {
  const refusals: readonly (readonly [GenerateOptions, string])[] = [
    [{ labels: [] }, "labels must name at least one class: current value is none"],
    [{ labels: [3] }, "label must be an index in 0 … 2 or one of T-shirt/top, Bag, 7"],
    [{ labels: [-1] }, "current value is -1"],
    [{ labels: [0.5] }, "current value is 0.5"],
    [{ seed: 0.5 }, "seed must be an integer in 0 … "],
    [{ seed: Number.MAX_SAFE_INTEGER }, `current value is ${Number.MAX_SAFE_INTEGER}`],
    [{ labels: [1], seeds: [] }, "seeds must be 1, one for each picture: current value is 0"],
    [{ labels: [1], seeds: [-1] }, "seed must be an integer in 0 … "],
    [{ steps: 0 }, "steps must be an integer in 1 … 1000: current value is 0"],
    [{ steps: 1001 }, "current value is 1001"],
    [{ steps: 2.5 }, "current value is 2.5"],
    [{ guidance: -1 }, "guidance must be at least 0: current value is -1"],
    [{ guidance: Infinity }, "current value is Infinity"],
    [{ trueGuidance: 2 }, "trueGuidance must be at most 1 where guidance takes a null label"],
    [
      { labels: [1], noise: { dims: [1, 1, 4, 4], data: new Float32Array(15) } },
      "noise must have 16 numbers: current value is 15",
    ],
    [
      { labels: [1], noise: { dims: [1, 1, 4, 4], data: new Float32Array(16).fill(NaN) } },
      "noise must be finite numbers",
    ],
    [
      { text: zeros([1, 2, 3]) },
      "text must not be given to a class-conditional model",
    ],
    [{ grid: [2, 3] }, "grid must be 2 × 2, the model's own: current value is 2 × 3"],
    [{ labels: [1], noise: zeros([2, 1, 4, 4]) }, "noise must be [1,1,4,4]: current value is [2,"],
  ];
  for (const [options, message] of refusals) {
    assertThrows(() => resolveRequest(modelWith(), options), RangeError, message);
  }
  const video: Record<string, string> = { output: "video" };
  assertThrows(
    () => resolveRequest(modelWith(), video),
    TypeError,
    "output must be pictures or latents: current value is video",
  );
});

Deno.test("resolveRequest() takes the last seed of which every picture has one of its own", () => {
  const seed = Number.MAX_SAFE_INTEGER - 3;
  assertEquals(resolveRequest(modelWith(), { seed }).seeds.at(-1), seed + 2);
});
