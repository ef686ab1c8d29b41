import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import {
  type ByteRange,
  openDirectory,
  openMemory,
  type Source,
} from "../../../src/assets/source.ts";
import { openTorchCheckpoint } from "../../../src/assets/formats/torch_checkpoint.ts";
import type { Weights } from "../../../src/assets/weights.ts";
import { AssetError } from "../../../src/errors.ts";
import { openModel } from "../../../src/model/open_model.ts";
import { parseDitConfig } from "../../../src/model/dit/config.ts";
import { ditTensors } from "../../../src/model/dit/dit.ts";
import { elementCount } from "../../../src/tensor/tensor.ts";
import { joinBytes } from "../../../src/tensor/bytes.ts";
import { counting, ramp } from "../files.ts";
import {
  archive,
  checkpoint,
  type CheckpointTensor,
  opcodes,
  tensorOpcodes,
  text,
} from "./zips.ts";

const FOLDER = new URL("../../golden/torch/", import.meta.url);
const OFFICIAL = new URL("../../golden/dit-a/", import.meta.url);
const GOLDEN: {
  readonly files: Readonly<
    Record<
      string,
      Readonly<
        Record<string, { readonly dims: readonly number[]; readonly numbers: readonly number[] }>
      >
    >
  >;
} = JSON.parse(await Deno.readTextFile(new URL("golden.json", FOLDER)));

function open(bytes: Uint8Array): Promise<Weights> {
  return openTorchCheckpoint(openMemory(new Map([["f.pt", bytes]])), "f.pt");
}

function floats(dims: readonly number[], data: Float32Array): CheckpointTensor {
  return { storage: "FloatStorage", dims, bytes: new Uint8Array(data.buffer), width: 4 };
}

for (const [file, tensors] of Object.entries(GOLDEN.files)) {
  Deno.test(`openTorchCheckpoint() reads ${file} as PyTorch does, whole and element by element`, async () => {
    const source = openDirectory(FOLDER);
    const weights = await openTorchCheckpoint(source, file);
    for (const [name, { dims, numbers }] of Object.entries(tensors)) {
      const expected = Float32Array.from(numbers);
      assertEquals(await weights.read(name), { dims, data: expected }, name);
      assertEquals(weights.dims(name), dims);
      const indices = [...expected.keys()].reverse();
      assertEquals(await weights.sample(name, indices), expected.toReversed(), name);
    }
    await source.close();
  });
}

Deno.test("tensors of no float type are named, and refused when they are read", async () => {
  const source = openDirectory(FOLDER);
  const weights = await openTorchCheckpoint(source, "types.pt");
  assertEquals(weights.dims("long"), [3]);
  for (const [name, dtype] of [["long", "I64"], ["bool", "BOOL"]] as const) {
    const message = `Cannot read ${name}: its dtype must be one of F64, F32, F16, BF16, ` +
      `F8_E4M3, F8_E5M2: current value is ${dtype}`;
    await assertRejects(() => weights.read(name), AssetError, message);
    await assertRejects(() => weights.sample(name, [0]), AssetError, message);
  }
  await source.close();
});

const REFUSED: Readonly<Record<string, string>> = {
  "malicious.pt": "global must be one that rebuilds tensors: current value is posix.system",
  "complex.pt": "current value is torch.ComplexFloatStorage",
  "expanded.pt": "current value is 1000 elements up to 1",
  "legacy.pt":
    "it must be a zip, as torch.save writes since PyTorch 1.6: current value is a bare " +
    "pickle, the format before 1.6; PyTorch converts it: ",
};

for (const [file, message] of Object.entries(REFUSED)) {
  Deno.test(`openTorchCheckpoint() refuses ${file}, written by PyTorch`, async () => {
    const source = openDirectory(FOLDER);
    await assertRejects(() => openTorchCheckpoint(source, file), AssetError, message);
    await source.close();
  });
}

const ONE = { storage: "FloatStorage", count: 1, offset: 0, dims: [1], strides: [1] };
const TENSOR = tensorOpcodes("0", ONE);
const STORAGE = ["0", new Uint8Array(4)] as const;
const entries = (...parts: readonly (string | number | Uint8Array)[]): Uint8Array =>
  opcodes(0x80, 2, "}(", ...parts, "u.");

const BY_HAND: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  "a tar": [
    joinBytes([new Uint8Array(257), opcodes("ustar")]),
    "current value is a tar, the format before 0.1.10",
  ],
  "a text": [opcodes("hello"), "current value is something else"],
  "a dict of numbers": [
    archive(entries(text("x"), "K\x01")),
    'its entry "x" must be a tensor: current value is a number',
  ],
  "a training without averaged weights": [
    archive(entries(text("model"), opcodes("}", text("w"), TENSOR, "s")), [STORAGE]),
    'its entry "model" must be a tensor: current value is a dict; a training\'s checkpoint must have ' +
    "an entry ema",
  ],
  "a tensor without a name": [
    archive(entries("K\x01", TENSOR), [STORAGE]),
    "its entry 1 must be a tensor",
  ],
  "a list": [
    archive(opcodes(0x80, 2, "].")),
    "it must hold a dict of tensors: current value is a list",
  ],
  "a storage that is absent": [
    archive(entries(text("x"), TENSOR)),
    'storage "0" of "x" must have 4 bytes: current value is missing',
  ],
  "a storage that is shorter than the pickle says": [
    archive(entries(text("x"), TENSOR), [["0", new Uint8Array(3)]]),
    'storage "0" of "x" must have 4 bytes: current value is 3',
  ],
  "numbers of another byte order": [
    archive(entries(text("x"), TENSOR), [STORAGE], {}, "big"),
    'its byte order must be little: current value is "big"',
  ],
  "a pickle of more than 4 MiB": [
    archive(new Uint8Array((1 << 22) + 1)),
    "data.pkl of f.pt: it must have at most 4194304 bytes: current value is 4194305",
  ],
};

for (const [what, [bytes, message]] of Object.entries(BY_HAND)) {
  Deno.test(`openTorchCheckpoint() refuses ${what}`, async () => {
    await assertRejects(() => open(bytes), AssetError, message);
  });
}

Deno.test("openTorchCheckpoint() names the file that is absent", async () => {
  const message = "Cannot open f.pt: it must exist in memory";
  const source = openMemory(new Map());
  await assertRejects(() => openTorchCheckpoint(source, "f.pt"), AssetError, message);
});

Deno.test("sample() of a large tensor reads its elements and nothing else", async () => {
  const large = ramp(1 << 19);
  const { source, reads } = counting(
    "f.pt",
    checkpoint(new Map([["x", floats([2, 1 << 18], large)]])),
  );
  const weights = await openTorchCheckpoint(source, "f.pt");
  reads.length = 0;
  const indices = [0, 12_345, 12_346, (1 << 19) - 1];
  assertEquals(await weights.sample("x", indices), Float32Array.from(indices, (i) => large[i]!));
  assertLessOrEqual(reads.reduce((sum, { length }) => sum + length, 0), 100);
  await assertRejects(
    () => weights.sample("x", [1 << 19]),
    RangeError,
    "an index must be an integer",
  );
});

/** A file with zeros behind a mark, of which only the rest is there; and how many bytes were read. */
function sparse(written: Uint8Array, mark: string, zeros: number): {
  readonly source: Source;
  readonly readBytes: () => number;
} {
  const hole = new TextDecoder("latin1").decode(written).indexOf(mark) + mark.length;
  const size = written.length + zeros;
  let sum = 0;
  const read = (_: string, range: ByteRange): Promise<Uint8Array> => {
    sum += range.length;
    assert(range.offset + range.length <= size);
    const bytes = Uint8Array.from({ length: range.length }, (_, i) => {
      const at = range.offset + i;
      if (at < hole) return written[at]!;
      return at < hole + zeros ? 0 : written[at - zeros]!;
    });
    return Promise.resolve(bytes);
  };
  const source = { ...openMemory(new Map()), size: () => Promise.resolve(size), read };
  return { source, readBytes: () => sum };
}

Deno.test("opening and sampling a file of 6 GB with zip64 fields reads less than 0.2 MB", async () => {
  const count = 1_500_000_000;
  const mark = "<here are the zeros>";
  const zeros = 4 * count - mark.length;
  const dims = [1000, 1_500_000];
  const view = { storage: "FloatStorage", count, offset: 0, dims, strides: [1_500_000, 1] };
  const written = archive(entries(text("x"), tensorOpcodes("0", view)), [["0", opcodes(mark)]], {
    zip64: true,
    hole: ["archive/data/0", zeros],
  });
  const { source, readBytes } = sparse(written, mark, zeros);
  const weights = await openTorchCheckpoint(source, "f.pt");
  assertEquals(weights.dims("x"), dims);
  assertEquals(await weights.sample("x", [5, count - 1]), new Float32Array(2));
  assertLessOrEqual(readBytes(), 200_000);
});

async function asCheckpoint(): Promise<Uint8Array> {
  const source = openDirectory(OFFICIAL);
  const file = await openSafetensors(source, "weights.safetensors");
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, { dims, begin, end, dtype }] of file.tensors) {
    const bytes = await source.read("weights.safetensors", { offset: begin, length: end - begin });
    assertEquals(dtype, "F16");
    tensors.set(name, { storage: "HalfStorage", dims, bytes, width: 2 });
  }
  await source.close();
  return checkpoint(tensors);
}

Deno.test("the same weights as .pt are the same model: id, tensors, fingerprint", async () => {
  const folder = await Deno.makeTempDir();
  const config = await Deno.readFile(new URL("config.json", OFFICIAL));
  const bytes = await asCheckpoint();
  await Deno.mkdir(`${folder}/dit-a`);
  await Deno.writeFile(`${folder}/dit-a/config.json`, config);
  await Deno.writeFile(`${folder}/dit-a/weights.pt`, bytes);
  const official = await openModel(OFFICIAL);
  for (const location of [`${folder}/dit-a`, `${folder}/dit-a/weights.pt`]) {
    const model = await openModel(location);
    assertEquals(model.id, official.id);
    assertEquals(await model.fingerprint(), await official.fingerprint());
    for (const name of official.weights.names) {
      assertEquals(await model.weights.read(name), await official.weights.read(name));
    }
    await model.close();
  }
  await official.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a folder's only .pt or .pth file is taken, unless there are safetensors", async () => {
  const tensors = new Map([["x", floats([2], ramp(2))]]);
  const bytes = checkpoint(tensors);
  const { openModelDirectory } = await import("../../../src/assets/model_dir.ts");
  for (const name of ["DiT-XL-2-256x256.pt", "a.pth"]) {
    const model = await openModelDirectory(new Map([[name, bytes]]));
    assertEquals([model.id, [...model.weights.names]], [name.replace(/\.pth?$/, ""), ["x"]]);
  }
  const two = new Map([["a.pt", bytes], ["b.pt", bytes]]);
  await assertRejects(() => openModelDirectory(two), AssetError, "2 files, such as a.pt and b.pt");
});

Deno.test("a published DiT's configuration is inferred from a .pt alone", async () => {
  const config = parseDitConfig({ hidden_size: 384, depth: 12, num_heads: 6, patch_size: 8 });
  const tensors = new Map(
    [...ditTensors(config)].map(([name, dims]) => {
      const bytes = new Uint8Array(2 * elementCount(dims));
      return [name, { storage: "HalfStorage", dims, bytes, width: 2 }] as const;
    }),
  );
  const model = await openModel(new Map([["DiT-S-8.pt", checkpoint(tensors)]]));
  assertEquals([model.id, model.latent, model.classes], ["DiT-S-8", [4, 32, 32], 1000]);
  await model.close();
});
