import { assertEquals, assertRejects } from "@std/assert";
import { openMemory } from "../../src/assets/source.ts";
import {
  findWeights,
  nameOfWeights,
  splitPath,
  weightFormat,
} from "../../src/assets/weight_files.ts";
import { AssetError } from "../../src/errors.ts";

async function found(names: readonly string[], isListed = true): Promise<string> {
  const source = openMemory(new Map(names.map((name) => [name, new Uint8Array()])));
  return await findWeights(
    isListed ? source : { ...source, list: () => Promise.resolve(undefined) },
  );
}

const PLAIN = "diffusion_pytorch_model.safetensors";
const HALF = "diffusion_pytorch_model.fp16.safetensors";
const INDEX = "diffusion_pytorch_model.safetensors.index.json";
const HALF_INDEX = "diffusion_pytorch_model.safetensors.index.fp16.json";
const SHARDS = [1, 2].map((i) => `diffusion_pytorch_model-0000${i}-of-00002.safetensors`);
const HALF_SHARDS = [1, 2].map((i) => `diffusion_pytorch_model.fp16-0000${i}-of-00002.safetensors`);
const OLD_SHARDS = [1, 2].map((i) => `diffusion_pytorch_model-0000${i}-of-00002.fp16.safetensors`);
const TORCH = "diffusion_pytorch_model.bin";
const TORCH_INDEX = "diffusion_pytorch_model.bin.index.json";
const TORCH_SHARDS = [1, 2].map((i) => `diffusion_pytorch_model-0000${i}-of-00002.bin`);

/** What lies in a folder, best last. */
const FOLDERS: readonly (readonly string[])[] = [
  [TORCH_INDEX, ...TORCH_SHARDS],
  [TORCH_INDEX, ...TORCH_SHARDS, TORCH],
  [TORCH, HALF_INDEX, ...HALF_SHARDS],
  [TORCH, ...OLD_SHARDS, HALF_INDEX],
  [TORCH_INDEX, ...TORCH_SHARDS, HALF],
  [HALF, HALF_INDEX, ...HALF_SHARDS, ...SHARDS, INDEX],
  [HALF, TORCH, INDEX, ...SHARDS, "ema.safetensors", PLAIN],
  [PLAIN, HALF, "model.safetensors"],
  ["model.safetensors", PLAIN, "weights.safetensors"],
];

Deno.test("findWeights() prefers safetensors, whole files, plain names and usual ones", async () => {
  for (const files of FOLDERS) {
    const wanted = files.findLast((name) => !/-0000\d-of-/.test(name))!; // each has one
    for (const isListed of [true, false]) assertEquals(await found(files, isListed), wanted);
    assertEquals(await found([...files.toReversed(), "README.md", "config.json"]), wanted);
  }
});

Deno.test("findWeights() takes the only file of any name, where files can be listed", async () => {
  for (
    const files of [
      ["flux1-dev.sft"],
      ["a.safetensors", "training.bin"],
      ["a.safetensors", "a.fp16.safetensors"],
      ["a.bf16.safetensors"],
      ["a.safetensors.index.json", "a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"],
      ["a-00001-of-00001.safetensors"],
      ["DiT-XL-2-256x256.pt", "notes.txt"],
      ["A.PTH"],
    ]
  ) {
    assertEquals(await found(files), files[0]);
    await assertRejects(() => found(files, false), AssetError, "current value is none of them");
  }
});

Deno.test("findWeights() refuses to choose between files of one kind, and says which", async () => {
  const two = ["a.safetensors", "b.safetensors", "c.pt"];
  const message = "current value is 2 files, such as a.safetensors and b.safetensors: name the one";
  await assertRejects(() => found(two), AssetError, message);
  await assertRejects(
    () => found(["a.pt", "b.pth"]),
    AssetError,
    "2 files, such as a.pt and b.pth",
  );
  await assertRejects(() => found(SHARDS), AssetError, "2 files"); // the index is missing
  await assertRejects(() => found(["config.json"]), AssetError, "current value is none of them");
});

Deno.test("weightFormat() goes by the end of a name", () => {
  const formats = {
    "a.safetensors": "safetensors",
    "A.SFT": "safetensors",
    "a.pt": "torch",
    "a.pth": "torch",
    "a.bin": "torch",
    "a.safetensors.index.json": "index",
    "a.safetensors.index.fp16.json": "index",
    "a.bin.index.json": "index",
  };
  for (const [name, format] of Object.entries(formats)) assertEquals(weightFormat(name), format);
  for (const name of ["a.json", "a.index.json", "a.txt", "safetensors", "a.sft.md", ""]) {
    assertEquals(weightFormat(name), undefined);
  }
});

Deno.test("splitPath() finds the file that a path ends in, and nameOfWeights() its name", () => {
  assertEquals(splitPath("/a/b.sft"), { folder: "/a/", file: "b.sft" });
  assertEquals(splitPath("b.pt"), { folder: "", file: "b.pt" });
  assertEquals(splitPath("a\\b.bin"), { folder: "a\\", file: "b.bin" });
  assertEquals(splitPath("/a.safetensors/"), { folder: "/a.safetensors/" });
  assertEquals(splitPath(""), { folder: "" });
  assertEquals(nameOfWeights("flux1-dev.sft"), "flux1-dev");
  assertEquals(nameOfWeights("a.b.safetensors.index.fp16.json"), "a.b");
  assertEquals(nameOfWeights(HALF), undefined);
});
