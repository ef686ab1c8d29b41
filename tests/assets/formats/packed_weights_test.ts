import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { openModelDirectory } from "../../../src/assets/model_dir.ts";
import {
  encodeNumbers,
  type WritableTensor,
} from "../../../src/assets/formats/safetensors_writer.ts";
import type { Weights } from "../../../src/assets/weights.ts";
import { AssetError } from "../../../src/errors.ts";
import { dequantize, quantizeBlocks, quantizeColumns } from "../../../src/tensor/quantize.ts";
import { normalNoise } from "../../../src/tensor/random.ts";
import { file } from "../files.ts";

type Tensors = Readonly<Record<string, WritableTensor>>;

const MATRIX = normalNoise([3, 64], 1);
const BYTES = quantizeColumns(MATRIX);
const BLOCKS = quantizeBlocks(MATRIX);
const BIAS: WritableTensor = { dims: [3], data: Float32Array.of(1, 2, 3) };
const INT8: Tensors = {
  "w": { dtype: "I8", dims: [64, 3], data: BYTES.values },
  "w.scale": { dims: [3], data: BYTES.scales },
  "b": BIAS,
};
const INT4: Tensors = {
  "w": { dtype: "U8", dims: [3, 2, 16], data: BLOCKS.values },
  "w.scale": { dims: [6], data: BLOCKS.scales },
  "b": BIAS,
};

Deno.test("a packed file has the names, shapes and numbers of its source, rounded", async () => {
  for (
    const [weights, tensors, matrix] of [["int8", INT8, BYTES], ["int4", INT4, BLOCKS]] as const
  ) {
    const opened = await open(tensors, { weights });
    assertEquals([...opened.names].sort(), ["b", "w"]);
    assertEquals([opened.dims("w"), opened.dims("b"), opened.dims("c")], [[3, 64], [3], undefined]);
    assertEquals(await opened.read("w"), dequantize(matrix));
    assertEquals([...(await opened.read("b")).data], [1, 2, 3]);
    assertEquals(
      [...await opened.sample("w", [5, 0])],
      [5, 0].map((i) => dequantize(matrix).data[i]),
    );
    assertEquals([...await opened.sample("b", [2])], [3]);
    assertEquals(opened.quantized?.precision, weights);
    assertEquals([...opened.quantized!.names], ["w"]);
    assertEquals(await opened.quantized!.read("w"), matrix);
    await assertRejects(() => opened.sample("w", [192]), RangeError, "from 0 to 191");
  }
});

Deno.test("single elements are those of the whole tensor, to the bit, in any order", async () => {
  for (const [weights, tensors] of [["int8", INT8], ["int4", INT4]] as const) {
    const opened = await open(tensors, { weights });
    const { data } = await opened.read("w");
    const indices = Array.from(data, (_, i) => (i * 77) % data.length);
    assertEquals(await opened.sample("w", indices), Float32Array.from(indices, (i) => data[i]!));
  }
});

Deno.test("a tensor of more axes has its first one last in the file, and as it was when it is read", async () => {
  const kernel = normalNoise([3, 2, 5, 4], 2);
  const rounded = quantizeColumns(kernel);
  const opened = await open({
    "k": { dtype: "I8", dims: [2, 5, 4, 3], data: rounded.values },
    "k.scale": { dims: [3], data: rounded.scales },
  }, { weights: "int8" });
  assertEquals(opened.dims("k"), kernel.dims);
  const { dims, data } = await opened.read("k");
  assertEquals(dims, kernel.dims);
  for (const [i, value] of data.entries()) { // half of a scale at most
    assert(Math.abs(value - kernel.data[i]!) <= 0.501 * rounded.scales[Math.floor(i / 40)]!);
  }
  assertEquals([...await opened.sample("k", [119, 7])], [119, 7].map((i) => data[i]));
});

Deno.test("a part's tensors are hashed under its folder, or not at all", async () => {
  const own = (part: Tensors): Promise<Weights> => openPart({ part, hashed: true });
  const inBytes = await own(INT8);
  assertEquals(await inBytes.read("w"), dequantize(BYTES));
  const plain = await openPart({ part: { b: BIAS }, hashed: false }); // as it was packed before
  assertEquals([...(await plain.read("b")).data], [1, 2, 3]);
  const changed = await openPart({ part: INT8, hashed: true, damage: true });
  await assertRejects(() => changed.read("w"), AssetError, "its sha256 must be");
  await assertRejects(() => openPart({ part: INT8, hashed: false }), AssetError, "its dtype");
});

Deno.test("a packed file without scales, or with others than its matrices need, is refused", async () => {
  const { "w.scale": _, ...missing } = INT8;
  await refused(missing, "int8", "w.scale must be F32 [3]: current value is missing");
  const short: WritableTensor = { dims: [2], data: new Float32Array(2) };
  await refused(
    { ...INT8, "w.scale": short },
    "int8",
    "w.scale must be F32 [3]: current value is F32 [2]",
  );
  const half: WritableTensor = { dtype: "F16", dims: [6], data: BLOCKS.scales };
  await refused({ ...INT4, "w.scale": half }, "int4", "must be F32 [6]: current value is F16 [6]");
});

Deno.test("a packed file whose matrices are of another type or shape is refused", async () => {
  await refused(INT4, "int8", "w must be I8 [in,…,out]: current value is U8 [3,2,16]");
  await refused(INT8, "int4", "w must be U8 [out,in / 32,16]: current value is I8 [64,3]");
  const flat: WritableTensor = { dtype: "I8", dims: [192], data: BYTES.values };
  await refused({ ...INT8, w: flat }, "int8", "current value is I8 [192]");
  const narrow: WritableTensor = { dtype: "U8", dims: [3, 4, 8], data: BLOCKS.values };
  await refused({ ...INT4, w: narrow }, "int4", "current value is U8 [3,4,8]");
});

Deno.test("integers are checked against their hash, scales against theirs", async () => {
  for (const name of ["w", "w.scale"]) {
    const opened = await open(INT8, { weights: "int8", hashes: { [name]: "0".repeat(64) } });
    await assertRejects(() => opened.read("w"), AssetError, "its sha256 must be 0000");
  }
});

Deno.test("a file with integers that does not say that it is packed is no model's", async () => {
  await assertRejects(
    () => open(INT8, {}),
    AssetError,
    "its dtype must be one of F64, F32, F16, BF16, F8_E4M3, F8_E5M2",
  );
});

/** Opens the VAE's weights beside an empty transformer's. */
async function openPart(
  { part, hashed, damage = false }: {
    readonly part: Tensors;
    readonly hashed: boolean;
    readonly damage?: boolean;
  },
): Promise<Weights> {
  const hashes = hashed ? hashesOf(part, "vae/") : {};
  const bytes = file(part);
  if (damage) bytes[bytes.length - 1]! ^= 1;
  const directory = await openModelDirectory(
    new Map([
      ["model.json", manifestOf({ weights: "int8", sha256: { ...hashesOf(INT8), ...hashes } })],
      ["weights.safetensors", file(INT8)],
      ["vae/config.json", new TextEncoder().encode("{}")],
      ["vae/diffusion_pytorch_model.safetensors", bytes],
    ]),
  );
  return (await directory.openPart("vae"))!.weights; // it is there
}

async function open(
  tensors: Tensors,
  { hashes = {}, ...change }: {
    readonly weights?: string;
    readonly hashes?: Readonly<Record<string, string>>;
  },
): Promise<Weights> {
  const sha256 = { ...hashesOf(tensors), ...hashes };
  const files = new Map([
    ["model.json", manifestOf({ sha256, ...change })],
    ["weights.safetensors", file(tensors)],
  ]);
  return (await openModelDirectory(files)).weights;
}

function hashesOf(tensors: Tensors, folder = ""): Readonly<Record<string, string>> {
  const hashes = Object.entries(tensors).map(([name, tensor]) => {
    return [`${folder}${name}`, bytesToHex(sha256(encodeNumbers(tensor)))];
  });
  return Object.fromEntries(hashes);
}

function manifestOf(change: Readonly<Record<string, unknown>>): Uint8Array {
  const manifest = {
    format: 1,
    id: "a",
    architecture: "dit",
    config: {},
    classNames: [],
    sampler: { name: "ddim", steps: 50, guidance: 2 },
    licence: "MIT",
    dataNotice: "none",
    ...change,
  };
  return new TextEncoder().encode(JSON.stringify(manifest));
}

async function refused(tensors: Tensors, weights: string, reason: string): Promise<void> {
  const error = await assertRejects(() => open(tensors, { weights }), AssetError);
  assertStringIncludes(error.message, reason);
}
