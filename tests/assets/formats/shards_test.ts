import { assertEquals, assertRejects } from "@std/assert";
import { openMemory, type Source } from "../../../src/assets/source.ts";
import type { Weights } from "../../../src/assets/weights.ts";
import { openModelDirectory } from "../../../src/assets/model_dir.ts";
import { openShards, parseShards } from "../../../src/assets/formats/shards.ts";
import { AssetError } from "../../../src/errors.ts";
import { file, ramp } from "../files.ts";

const A = "model-00001-of-00002.safetensors";
const B = "model-00002-of-00002.safetensors";
const INDEX = "diffusion_pytorch_model.safetensors.index.json";
const PLACES = { x: A, y: B, z: B };

function files(): Map<string, Uint8Array> {
  return new Map([
    [A, file({ x: { dims: [2, 3], data: ramp(6) } })],
    [B, file({ y: { dims: [4], data: ramp(4) }, z: { dims: [1], data: ramp(1) } })],
  ]);
}

async function openIndex(source: Source, json: unknown): Promise<Weights> {
  return await openShards(source, INDEX, parseShards(json, INDEX));
}

function bytes(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}

Deno.test("openShards() reads each tensor from the file that the index names", async () => {
  const source = openMemory(files());
  const weights = await openIndex(source, { metadata: {}, weight_map: PLACES });
  assertEquals([...weights.names].sort(), ["x", "y", "z"]);
  assertEquals(weights.dims("x"), [2, 3]);
  assertEquals(weights.dims("absent"), undefined);
  assertEquals((await weights.read("y")).data, ramp(4));
  assertEquals(
    await weights.sample("x", [5, 0]),
    ramp(6).filter((_, i) => i === 5 || i === 0).reverse(),
  );
  await assertRejects(() => weights.read("absent"), AssetError, "must be named by");
});

Deno.test("a folder of shards opens by its index, whatever else lies there", async () => {
  const all = files().set(INDEX, bytes({ weight_map: PLACES })).set("readme.md", new Uint8Array(3));
  const model = await openModelDirectory(all);
  assertEquals((await model.weights.read("z")).dims, [1]);
  await model.close();
});

const REFUSED: Readonly<Record<string, readonly [unknown, string]>> = {
  "a tensor that is not in its file": [{ ...PLACES, w: A }, `tensor w must be in ${A}`],
  "a tensor that the index puts elsewhere": [
    { x: A, y: A, z: B },
    `tensor y must be in ${A}`,
  ],
  "a tensor that the index does not know": [{ x: A, y: B }, `tensor z of ${B} must be named`],
  "a shard that is absent": [{ ...PLACES, w: "c.safetensors" }, "Cannot open c.safetensors"],
  "a path in place of a name": [{ x: "../a.safetensors" }, "weight_map.x must match"],
  "no map": [undefined, "weight_map must be of type record"],
};

for (const [what, [places, message]] of Object.entries(REFUSED)) {
  Deno.test(`openShards() refuses ${what}`, async () => {
    const source = openMemory(files());
    await assertRejects(
      () => openIndex(source, { weight_map: places }),
      AssetError,
      message,
    );
  });
}
