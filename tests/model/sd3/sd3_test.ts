/** Stable Diffusion 3 against diffusers' numbers, made by scripts/golden/sd3.py. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { openDirectory } from "../../../src/assets/source.ts";
import { type EngineOptions, openEngine } from "../../../src/engine/engine.ts";
import { packModel } from "../../../src/engine/pack.ts";
import { AssetError } from "../../../src/errors.ts";
import { openModel } from "../../../src/model/open_model.ts";
import { parseSd3Config } from "../../../src/model/sd3/config.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { sliceRows } from "../../../src/tensor/rows.ts";
import { type Tensor, zeros } from "../../../src/tensor/tensor.ts";
import { assertClose } from "../../conformance/compare.ts";

const SD3_A = new URL("../../golden/sd3-a/", import.meta.url);
/** Float32 sums of up to 64 products a layer, two blocks deep, in another order than PyTorch's. */
const TOLERANCE = 1e-5;

async function golden(): Promise<(name: string) => Promise<Tensor>> {
  const file = await openSafetensors(openDirectory(SD3_A), "golden.safetensors");
  return (name) => file.readFloat32(name);
}

Deno.test("a step of SD3 is diffusers', alone and guided by negative text", async () => {
  const read = await golden();
  const [noise, text, pooled] = [await read("latent"), await read("text"), await read("pooled")];
  const [velocity, negative] = [await read("velocity"), await read("negative")];
  const pipeline = await openEngine({ backend: "wasm", model: SD3_A });
  const conditions = { text: sliceRows(text, 0, 2), pooled: sliceRows(pooled, 0, 2) };
  const negatives = {
    negative_text: sliceRows(text, 2, 1),
    negative_pooled: sliceRows(pooled, 2, 1),
  };
  // One step from sigma 0.5 to 0 moves the latent by half of the velocity; the shift is undone.
  const options = { noise: sliceRows(noise, 0, 2), steps: 1, sigmas: [0.25] };
  for (const guidance of [1, 4]) {
    const given = guidance === 1 ? conditions : { ...conditions, ...negatives };
    const { latents } = await pipeline.generate({ ...options, conditions: given, guidance });
    const data = latents.data.map((_, i) => {
      const [c, u] = [velocity.data[i]!, negative.data[i]!];
      return noise.data[i]! - 0.5 * (guidance === 1 ? c : u + guidance * (c - u));
    });
    const wanted = { dims: latents.dims, data };
    assertClose(latents, wanted, { tolerance: guidance * TOLERANCE, what: `scale ${guidance}` });
  }
  assertEquals(pipeline.backend.live.values, 0);
  await pipeline.close();
});

Deno.test("SD3's null half has the rows of the negative text, and without it there is no guidance", async () => {
  const model = await openModel(SD3_A);
  const conditions = { text: zeros([2, 3, 10]), pooled: zeros([2, 7]) };
  const alone = model.scene({ conditions });
  assertEquals([alone.guidedBy, alone.conditions], [undefined, 2]);
  const scene = model.scene({
    conditions: { ...conditions, negative_text: zeros([1, 3, 10]), negative_pooled: zeros([1, 7]) },
  });
  const batch = scene.batch([1, 0, 1], { time: 1, guidance: 3 });
  assertEquals(batch.map(({ label }) => label), [1, 0, 1, 2, 2, 2]);
  assertEquals(scene.inputs(batch)["text.features"]?.dims, [6, 3, 10]);
  const refuses = (change: object, message: string): unknown =>
    assertThrows(
      () => model.scene({ conditions: { ...conditions, ...change } }),
      RangeError,
      message,
    );
  refuses({ text: zeros([2, 3, 9]) }, "text must be [2,3,10]: current value is [2,3,9]");
  refuses({ pooled: zeros([1, 7]) }, "pooled must be [2,7]");
  refuses({ negative_text: zeros([1, 4, 10]) }, "negative_text must be [1,3,10]");
  refuses({ image_ids: zeros([4, 3]) }, "conditions must be text, pooled, negative_text");
  await model.close();
});

Deno.test("a packed SD3 has its source's fingerprint and, rounded at load, its source's bits", async () => {
  const read = await golden();
  const conditions = { text: await read("text"), pooled: await read("pooled") };
  const draw = async (options: EngineOptions): Promise<[string, Tensor]> => {
    const pipeline = await openEngine({ backend: "wasm", ...options });
    const { latents } = await pipeline.generate({ conditions, seed: 1, steps: 2 });
    const fingerprint = await pipeline.model.fingerprint();
    await pipeline.close();
    return [fingerprint, latents];
  };
  const model = await openModel(SD3_A);
  const parts: Uint8Array[] = [];
  const write = (bytes: Uint8Array): Promise<void> => Promise.resolve(void parts.push(bytes));
  const { manifest } = await packModel({ model, precision: "int8", write });
  await model.close();
  const files = new Map([
    ["model.json", new TextEncoder().encode(manifest)],
    ["weights.safetensors", joinBytes(parts)],
  ]);
  assertEquals(await draw({ model: files }), await draw({ model: SD3_A, weights: "int8" }));
});

Deno.test("SD3's configuration is checked key by key, its tensors one by one", async () => {
  const json = JSON.parse(await Deno.readTextFile(new URL("config.json", SD3_A)));
  const refuses = (change: object, message: string): unknown =>
    assertThrows(() => parseSd3Config({ ...json, ...change }), AssetError, message);
  refuses({ qk_norm: null }, 'qk_norm must be "rms_norm"');
  refuses({ dual_attention_layers: [0] }, "dual_attention_layers");
  refuses({ caption_projection_dim: 8 }, "caption_projection_dim must be 16: current value is 8");
  refuses({ other: 1 }, 'must not have the key "other"');
  const weights = await Deno.readFile(new URL("diffusion_pytorch_model.safetensors", SD3_A));
  const files = new Map([
    ["config.json", new TextEncoder().encode(JSON.stringify({ ...json, num_layers: 3 }))],
    ["diffusion_pytorch_model.safetensors", weights],
  ]);
  await assertRejects(() => openModel(files), AssetError, "transformer_blocks.1.norm1_context");
});
