import { assertEquals, assertThrows } from "@std/assert";
import { parsePipelineIndex } from "../../src/assets/pipeline_index.ts";
import { AssetError } from "../../src/errors.ts";

const NAMED = { _class_name: "DiTPipeline", _diffusers_version: "0.11.0" };

Deno.test("parsePipelineIndex() tells the parts that are there, and the classes in order", () => {
  const index = parsePipelineIndex({
    ...NAMED,
    id2label: { "1": "goldfish, Carassius auratus", "0": "tench, Tinca tinca" },
    transformer: ["diffusers", "Transformer2DModel"],
    vae: ["diffusers", "AutoencoderKL"],
    safety_checker: [null, null],
    force_zeros: false,
  });
  assertEquals(index.className, "DiTPipeline");
  assertEquals([...index.parts], ["transformer", "vae"]);
  assertEquals(index.classNames, ["tench, Tinca tinca", "goldfish, Carassius auratus"]);
});

Deno.test("parsePipelineIndex() has no names where there are no labels", () => {
  assertEquals(parsePipelineIndex({ _class_name: "FluxPipeline" }).classNames, []);
});

Deno.test("parsePipelineIndex() refuses what is no index, and labels with a gap", () => {
  assertThrows(() => parsePipelineIndex({}), AssetError, "_class_name must be of type string");
  assertThrows(() => parsePipelineIndex([]), AssetError, "it must be of type object");
  assertThrows(
    () => parsePipelineIndex({ ...NAMED, id2label: { "0": "a", "2": "b" } }),
    AssetError,
    "id2label must name every class from 0 to 1: there is none of 1",
  );
  assertThrows(() => parsePipelineIndex({ ...NAMED, id2label: { first: "a" } }), AssetError);
});
