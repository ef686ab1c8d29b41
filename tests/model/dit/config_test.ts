import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type DitConfig,
  inferDitConfig,
  labelRows,
  parseDitConfig,
} from "../../../src/model/dit/config.ts";
import { checkDitTensors, ditTensors } from "../../../src/model/dit/dit.ts";
import type { TensorShapes } from "../../../src/assets/tensor_shapes.ts";
import { AssetError } from "../../../src/errors.ts";

const DIT_A = JSON.parse(
  await Deno.readTextFile(new URL("../../golden/dit-a/config.json", import.meta.url)),
);

/** Depth, width and heads as `models.py` has them. */
const PUBLISHED = {
  S: [12, 384, 6],
  B: [12, 768, 12],
  L: [24, 1024, 16],
  XL: [28, 1152, 16],
} as const;

function shapes(tensors: ReadonlyMap<string, readonly number[]>): TensorShapes {
  return { names: new Set(tensors.keys()), dims: (name) => tensors.get(name) };
}

/** The tensors of a configuration, with some changed; `undefined` takes one away. */
function tensorsOf(
  config: DitConfig,
  changes: Readonly<Record<string, readonly number[] | undefined>> = {},
): TensorShapes {
  const tensors = new Map(ditTensors(config));
  for (const [name, dims] of Object.entries(changes)) {
    if (dims === undefined) tensors.delete(name);
    else tensors.set(name, dims);
  }
  return shapes(tensors);
}

Deno.test("parseDitConfig() fills in the original constructor's defaults: DiT-XL/2", () => {
  assertEquals(parseDitConfig({}), {
    inputSize: 32,
    patchSize: 2,
    inChannels: 4,
    hiddenSize: 1152,
    depth: 28,
    numHeads: 16,
    mlpRatio: 4,
    classDropoutProb: 0.1,
    numClasses: 1000,
    learnSigma: true,
  });
});

Deno.test("ditTensors() has the parameter count that the paper states for DiT-XL/2: 675 M", () => {
  let count = 0;
  for (const dims of ditTensors(parseDitConfig({})).values()) {
    count += dims.reduce((product, size) => product * size, 1);
  }
  assertEquals(Math.round(count / 1e6), 675);
});

for (
  const [json, message] of [
    [{ patch: 2 }, 'it must not have the key "patch"'],
    [{ depth: 0 }, "depth must be at least 1: current value is 0"],
    [{ depth: 1e9 }, "depth must be at most 1000: current value is 1000000000"],
    [{ hidden_size: 48.5 }, "hidden_size must be of type int: current value is 48.5"],
    [{ learn_sigma: "yes" }, 'learn_sigma must be of type boolean: current value is "yes"'],
    [{ mlp_ratio: 0 }, "mlp_ratio must be more than 0: current value is 0"],
    [{ class_dropout_prob: 2 }, "class_dropout_prob must be at most 1"],
    [{ num_heads: 7 }, "hidden_size must be a multiple of num_heads"],
    [{ input_size: 33 }, "input_size must be a multiple of patch_size"],
    [{ depth_group: 29, learn_sigma: false }, "depth must be at least depth_group"],
    [{ depth_group: 4 }, "learn_sigma must be false beside depth_group"],
    [{ depth_group: 0 }, "depth_group must be at least 1"],
    [[], "it must be of type object: current value is an array of 0"],
    [null, "it must be of type object: current value is null"],
  ] as const
) {
  Deno.test(`parseDitConfig() refuses ${JSON.stringify(json)}`, () => {
    assertThrows(() => parseDitConfig(json), AssetError, `Cannot read DiT config: ${message}`);
  });
}

Deno.test("any JSON as config.json is a typed error or a config whose tensors can be named", () => {
  const number = fc.oneof(fc.nat(70), fc.double(), fc.constantFrom(2 ** 20, 2 ** 53, 1e300, -1));
  const keys = fc.constantFrom(
    "input_size",
    "patch_size",
    "in_channels",
    "hidden_size",
    "depth",
    "num_heads",
    "mlp_ratio",
    "num_classes",
    "class_dropout_prob",
    "learn_sigma",
    "depth_group",
  );
  const near = fc.dictionary(keys, fc.oneof({ weight: 9, arbitrary: number }, fc.boolean()));
  const run = (json: unknown): void => {
    try {
      assert(ditTensors(parseDitConfig(json)).size > 10);
    } catch (error) {
      if (!(error instanceof AssetError)) throw error;
    }
  };
  fc.assert(fc.property(fc.oneof(near, fc.jsonValue()), run), { seed: 3, numRuns: 1000 });
});

for (const [size, [depth, width, heads]] of Object.entries(PUBLISHED)) {
  for (const patch of [2, 4, 8]) {
    Deno.test(`inferDitConfig() knows DiT-${size}/${patch}`, () => {
      const json = { depth, hidden_size: width, num_heads: heads, patch_size: patch };
      const config = parseDitConfig(json);
      assertEquals(parseDitConfig(inferDitConfig(tensorsOf(config))), config);
    });
  }
}

Deno.test("inferDitConfig() reads input size, channels, classes and sigma from the shapes", () => {
  const config = parseDitConfig({
    ...{ depth: 12, hidden_size: 384, num_heads: 6, patch_size: 4 },
    ...{ input_size: 64, in_channels: 16, num_classes: 3, learn_sigma: false },
  });
  assertEquals(
    parseDitConfig(inferDitConfig(tensorsOf(config, { pos_embed: [1, 256, 384] }))),
    config,
  );
});

Deno.test("inferDitConfig() says that an unpublished size needs a config.json", () => {
  const tensors = tensorsOf(parseDitConfig(DIT_A));
  assertThrows(() => inferDitConfig(tensors), AssetError, "a config.json must lie beside");
});

Deno.test("inferDitConfig() refuses tensors that are not a DiT's", () => {
  for (
    const tensors of [
      new Map(),
      new Map([["x_embedder.proj.weight", [384]]]),
      new Map([["blocks.99999999999999999999.a", [1]]]),
    ]
  ) {
    assertThrows(() => inferDitConfig(shapes(tensors)), AssetError, "x_embedder.proj.weight must");
  }
});

Deno.test("inferDitConfig() refuses positions that are no square, no classes, no channels", () => {
  const config = parseDitConfig({ depth: 12, hidden_size: 384, num_heads: 6 });
  for (
    const changes of [
      { pos_embed: [1, 17, 384] },
      { pos_embed: [1, 0, 384] },
      { "y_embedder.embedding_table.weight": [1, 384] },
      { "x_embedder.proj.weight": [384, 0, 2, 2] },
    ]
  ) {
    assertThrows(() => parseDitConfig(inferDitConfig(tensorsOf(config, changes))), AssetError);
  }
});

Deno.test("checkDitTensors() accepts the tensors with and without pos_embed", () => {
  const config = parseDitConfig(DIT_A);
  checkDitTensors(config, tensorsOf(config));
  checkDitTensors(config, tensorsOf(config, { pos_embed: [1, 16, 48] }));
});

for (
  const [name, dims, message] of [
    ["blocks.1.attn.qkv.bias", undefined, "must be [144]: current value is missing"],
    ["final_layer.linear.weight", [16, 48], "must be [32,48]: current value is [16,48]"],
    ["pos_embed", [1, 17, 48], "must be [1,16,48]: current value is [1,17,48]"],
    ["blocks.3.attn.qkv.bias", [144], "is not part of"],
  ] as const
) {
  Deno.test(`checkDitTensors() refuses ${name} as [${dims ?? "missing"}]`, () => {
    const config = parseDitConfig(DIT_A);
    const tensors = tensorsOf(config, { [name]: dims });
    const error = assertThrows(() => checkDitTensors(config, tensors), AssetError, message);
    assert(error.message.includes(name));
  });
}

Deno.test("labelRows() counts the null class only when labels were dropped in training", () => {
  assertEquals(labelRows(parseDitConfig({ num_classes: 7 })), 8);
  assertEquals(labelRows(parseDitConfig({ num_classes: 7, class_dropout_prob: 0 })), 7);
});
