import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AssetError } from "../../src/errors.ts";
import { expectSupported, expectSupportedTensors } from "../../src/model/known_classes.ts";
import { openModel } from "../../src/model/open_model.ts";
import { encodeSafetensors } from "../../src/assets/formats/safetensors_writer.ts";
import { zeros } from "../../src/tensor/tensor.ts";
import { fluxPipelineFiles, pipelineFiles } from "../engine/pipeline_files.ts";
import { joinBytes } from "../../src/tensor/bytes.ts";

const SUPPORTED =
  "is not supported; supported are DiT (DiTTransformer2DModel), FLUX.1 (FluxTransformer2DModel)";

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

for (
  const [className, title] of [
    ["Flux2Transformer2DModel", "FLUX.2"],
    ["ChromaTransformer2DModel", "Chroma"],
    ["PixArtTransformer2DModel", "PixArt"],
    ["SD3Transformer2DModel", "Stable Diffusion 3"],
    ["UNet2DConditionModel", "Stable Diffusion"],
    ["WanTransformer3DModel", "Wan"],
    ["HunyuanDiT2DModel", "Hunyuan-DiT"],
    ["HunyuanVideoTransformer3DModel", "HunyuanVideo"],
    ["SanaTransformer2DModel", "Sana"],
    ["Lumina2Transformer2DModel", "Lumina"],
    ["AuraFlowTransformer2DModel", "AuraFlow"],
    ["CogVideoXTransformer3DModel", "CogVideoX"],
  ] as const
) {
  Deno.test(`expectSupported() calls ${className} by its name, ${title}`, () => {
    assertThrows(
      () => expectSupported({ _class_name: className, whatever: 1 }, "/m"),
      AssetError,
      `Cannot open /m: ${title} (class ${className}) ${SUPPORTED}`,
    );
  });
}

Deno.test("expectSupported() tells a pipeline by its transformer, its U-Net or its own class", () => {
  const refuses = (index: object, what: string): unknown =>
    assertThrows(() => expectSupported(index, "/m"), AssetError, `${what} ${SUPPORTED}`);
  const xl = "StableDiffusionXLPipeline";
  refuses({ _class_name: xl }, `Stable Diffusion XL (class ${xl})`);
  refuses(
    { _class_name: "MyPipeline", unet: ["diffusers", "UNet2DConditionModel"] },
    "Stable Diffusion (class UNet2DConditionModel)",
  );
  // Older PixArt has the class of DiT, with other keys.
  refuses(
    { _class_name: "PixArtAlphaPipeline", transformer: ["diffusers", "Transformer2DModel"] },
    "PixArt (class PixArtAlphaPipeline)",
  );
  refuses({ _class_name: "OtherPipeline" }, 'class "OtherPipeline"');
  refuses({ transformer: ["mine", "OtherModel"] }, 'class "OtherModel"');
  expectSupported({ _class_name: "Mine", transformer: ["d", "FluxTransformer2DModel"] }, "/m");
  refuses({ architectures: ["LlamaForCausalLM"] }, 'class "LlamaForCausalLM"');
});

Deno.test("expectSupported() passes what names no class, and throws nothing but AssetError", () => {
  expectSupported({ input_size: 8 }, "/m");
  expectSupported(undefined, "/m");
  const name = fc.oneof(fc.string(), fc.constant("FluxTransformer2DModel"), fc.jsonValue());
  const description = fc.record({
    _class_name: name,
    transformer: fc.oneof(name, fc.array(name)),
    architectures: fc.oneof(name, fc.array(name)),
  }, { requiredKeys: [] });
  fc.assert(fc.property(fc.oneof(fc.jsonValue(), description), (any) => {
    try {
      expectSupported(any, "/m");
    } catch (error) {
      assertEquals(error instanceof AssetError, true);
    }
  }));
});

Deno.test("a pipeline of another class is refused before its weights are read", async () => {
  const files = await fluxPipelineFiles();
  files.set("transformer/config.json", json({ _class_name: "Flux2Transformer2DModel" }));
  files.set("transformer/diffusion_pytorch_model.safetensors", new Uint8Array(3));
  const wanted = `FLUX.2 (class Flux2Transformer2DModel) ${SUPPORTED}`;
  await assertRejects(() => openModel(files), AssetError, wanted);
  const unet = { transformer: [null, null], unet: ["diffusers", "UNet2DConditionModel"] };
  const other = await pipelineFiles({ "model_index.json": unet });
  await assertRejects(
    () => openModel(other),
    AssetError,
    "Stable Diffusion (class UNet2DCondition",
  );
});

Deno.test("a file of weights alone is told by its tensors, with ComfyUI's prefix as without", async () => {
  const name = "model.diffusion_model.distilled_guidance_layer.in_proj.weight";
  const weights = joinBytes([...encodeSafetensors(new Map([[name, zeros([2])]]))]);
  await assertRejects(
    () => openModel(new Map([["chroma.safetensors", weights]])),
    AssetError,
    `Chroma, as its tensors are called, ${SUPPORTED}`,
  );
  assertThrows(
    () => expectSupportedTensors(["joint_blocks.0.x_block.attn.qkv.weight"], "/m"),
    AssetError,
    "Stable Diffusion 3",
  );
  expectSupportedTensors(["double_blocks.0.img_attn.qkv.weight", "blocks.0.attn.qkv.bias"], "/m");
});
