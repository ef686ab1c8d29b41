import { assert, assertEquals, assertRejects } from "@std/assert";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { fingerprint } from "../../src/assets/fingerprint.ts";
import { openModelDirectory } from "../../src/assets/model_dir.ts";
import { AssetError } from "../../src/errors.ts";
import { parseDitConfig } from "../../src/model/dit/config.ts";
import { ditTensors } from "../../src/model/dit/dit.ts";
import { file, ramp } from "./files.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const OFFICIAL = new URL("../golden/dit-a/", import.meta.url);

const WEIGHTS = file({ x: { dims: [2, 3], data: ramp(6) } });
const HASH = bytesToHex(sha256(new Uint8Array(ramp(6).buffer)));

function bytes(json: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(json));
}

function manifest(change: object = {}): Uint8Array {
  return bytes({
    format: 1,
    id: "a",
    architecture: "dit",
    config: { depth: 1 },
    classNames: [],
    sampler: { name: "ddim", steps: 50, guidance: 2 },
    licence: "MIT",
    dataNotice: "none",
    sha256: { x: HASH },
    ...change,
  });
}

function opening(files: Readonly<Record<string, Uint8Array>>): () => Promise<unknown> {
  return () => openModelDirectory(new Map(Object.entries(files)));
}

Deno.test("fashion-dit opens, and every tensor is what its manifest hashes", async () => {
  const model = await openModelDirectory(FASHION_DIT);
  assertEquals(model.manifest?.id, "fashion-dit");
  assertEquals(model.manifest?.classNames.length, 10);
  assertEquals(model.config, model.manifest?.config);
  for (const name of model.weights.names) {
    assertEquals((await model.weights.read(name)).dims, model.weights.dims(name));
  }
  await model.close();
});

Deno.test("fashion-dit carries its own fingerprint", async () => {
  const { manifest, config, weights, close } = await openModelDirectory(FASHION_DIT);
  const resolved = parseDitConfig(config);
  const names = ditTensors(resolved).keys();
  const computed = await fingerprint(weights, { architecture: "dit", config: resolved, names });
  assertEquals(manifest?.fingerprint, computed);
  await close();
});

Deno.test("an official state dict opens by folder, by file, as path and as URL", async () => {
  const folder = OFFICIAL.pathname;
  const locations = [
    OFFICIAL,
    OFFICIAL.href,
    folder,
    `${folder}weights.safetensors`,
    new URL(
      "weights.safetensors",
      OFFICIAL,
    ),
  ];
  for (const location of locations) {
    const model = await openModelDirectory(location);
    assertEquals(parseDitConfig(model.config).depth, 3);
    assertEquals(model.manifest, undefined);
    assertEquals(model.weights.dims("blocks.2.attn.proj.bias"), [48]);
    assertEquals(model.weights.dims("blocks.3.attn.proj.bias"), undefined);
    await model.close();
  }
});

Deno.test("openFolder() gives a folder that need have no configuration, where the model has such a part", async () => {
  const tokenizer = bytes({ a: 1 });
  const index = bytes({ _class_name: "P", transformer: ["d", "T"], tokenizer: ["t", "C"] });
  const pipeline = await openModelDirectory(
    new Map([
      ["model_index.json", index],
      ["transformer/config.json", bytes({})],
      ["transformer/diffusion_pytorch_model.safetensors", WEIGHTS],
      ["tokenizer/tokenizer.json", tokenizer],
    ]),
  );
  assertEquals(await pipeline.openFolder("tokenizer")?.size("tokenizer.json"), tokenizer.length);
  assertEquals(pipeline.openFolder("tokenizer_2"), undefined);
  const packed = await openModelDirectory(
    new Map([
      ["model.json", manifest()],
      ["weights.safetensors", WEIGHTS],
      ["tokenizer/tokenizer.json", tokenizer],
    ]),
  );
  assertEquals(await packed.openFolder("tokenizer")?.size("tokenizer.json"), tokenizer.length);
  const alone = await openModelDirectory(new Map([["weights.safetensors", WEIGHTS]]));
  assertEquals(alone.openFolder("tokenizer"), undefined);
});

Deno.test("a folder's only .safetensors file is taken, whatever its name", async () => {
  const model = await openModelDirectory(new Map([["DiT-XL-2.safetensors", WEIGHTS]]));
  assertEquals([...model.weights.names], ["x"]);
  assertEquals(model.config, undefined);
});

Deno.test("of several .safetensors files, the one with a conventional name is taken", async () => {
  const other = file({ y: { dims: [1], data: ramp(1) } });
  const files = new Map([["a.safetensors", other], ["model.safetensors", WEIGHTS]]);
  assertEquals([...(await openModelDirectory(files)).weights.names], ["x"]);
});

Deno.test("the manifest beside weights.safetensors counts when the file is named", async () => {
  const model = await openModelDirectory(new URL("weights.safetensors", FASHION_DIT));
  assertEquals(model.manifest?.id, "fashion-dit");
  await model.close();
});

Deno.test("a tensor that is not what the manifest hashes is refused when it is read", async () => {
  const files = new Map([
    ["model.json", manifest({ sha256: { x: "0".repeat(64) } })],
    ["weights.safetensors", WEIGHTS],
  ]);
  const { weights } = await openModelDirectory(files);
  await assertRejects(
    () => weights.read("x"),
    AssetError,
    `Cannot read x of weights.safetensors: its sha256 must be ${"0".repeat(64)}: ` +
      `current value is ${HASH}`,
  );
});

const REFUSED: Readonly<Record<string, readonly [Readonly<Record<string, Uint8Array>>, string]>> = {
  "an empty folder": [{}, "current value is none of them"],
  "several weights of unknown names": [
    { "a.safetensors": WEIGHTS, "b.safetensors": WEIGHTS },
    "current value is 2 files, such as a.safetensors and b.safetensors",
  ],
  "a manifest without weights": [{ "model.json": manifest() }, "Cannot open weights.safetensors"],
  "a manifest that is not JSON": [
    { "model.json": new Uint8Array([1]), "weights.safetensors": WEIGHTS },
    "Cannot read model.json in memory: it must be JSON in UTF-8",
  ],
  "a config that is not JSON": [
    { "config.json": new Uint8Array(), "weights.safetensors": WEIGHTS },
    "Cannot read config.json in memory: it must be JSON in UTF-8",
  ],
  "a hash of a tensor that is absent": [
    { "model.json": manifest({ sha256: { x: HASH, y: HASH } }), "weights.safetensors": WEIGHTS },
    "tensor y must be there",
  ],
  "a tensor without a hash": [
    { "model.json": manifest({ sha256: {} }), "weights.safetensors": WEIGHTS },
    "tensor x must have a sha256",
  ],
};

for (const [what, [files, message]] of Object.entries(REFUSED)) {
  Deno.test(`openModelDirectory() refuses ${what}`, async () => {
    await assertRejects(opening(files), AssetError, message);
  });
}

Deno.test("openModelDirectory() refuses descriptions that are too large, unread", async () => {
  const files = { "config.json": new Uint8Array((1 << 24) + 1), "weights.safetensors": WEIGHTS };
  await assertRejects(opening(files), AssetError, "it must have at most 16777216 bytes");
});

Deno.test("openModelDirectory() refuses locations that are none", async () => {
  const refusals = [
    ["/no/such/place", "Cannot read /no/such/place: it must exist"],
    [new URL("model.json", FASHION_DIT), "models/fashion-dit/model.json: it must be a directory"],
    ["/no/such/file.safetensors", "Cannot open file.safetensors: it must exist in /no/such/"],
    ["ftp://host/model", "its location must be a path or a file:, https:, http: or hf: URL"],
    ["https://%", "its location must be a URL"],
    ["owner/DiT-XL-2-256", "begins with hf://, as in hf://owner/DiT-XL-2-256"],
  ] as const;
  for (const [location, message] of refusals) {
    await assertRejects(() => openModelDirectory(location), AssetError, message);
  }
});

Deno.test("openModelDirectory() closes its files when it fails", async () => {
  const directory = await Deno.makeTempDir();
  await Deno.writeFile(`${directory}/model.json`, manifest({ format: 7 }));
  await assertRejects(() => openModelDirectory(directory), AssetError, "format must be 1");
  await Deno.remove(directory, { recursive: true }); // the leak tracer sees an open file
});

Deno.test("reading after close() is refused", async () => {
  const model = await openModelDirectory(OFFICIAL);
  await model.close();
  const read = (): Promise<unknown> => model.weights.read("x_embedder.proj.bias");
  const error = await assertRejects(read, AssetError);
  assert(error.message.endsWith("it must be read before it is closed"), error.message);
});
