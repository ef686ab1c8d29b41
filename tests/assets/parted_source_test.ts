import { assertEquals, assertRejects } from "@std/assert";
import { openModelDirectory } from "../../src/assets/model_dir.ts";
import { openParts } from "../../src/assets/parted_source.ts";
import { BLOCK_BYTES, type Source } from "../../src/assets/source.ts";
import { AssetError } from "../../src/errors.ts";
import { FASHION_DIT } from "../fashion_dit.ts";

const PREFIX = "https://assets.invalid/model";
const BYTES = Uint8Array.from({ length: 2500 }, (_, i) => i % 251);

interface Host {
  readonly source: Source;
  /** Paths that were asked for after the index. */
  readonly asked: string[];
}

/** A host of static files that ignores ranges, as asset bindings do. */
async function host(
  files: Readonly<Record<string, Uint8Array>>,
  { partBytes = 1000, broken = {} }: {
    readonly partBytes?: number;
    readonly broken?: Readonly<Record<string, Uint8Array>>;
  } = {},
): Promise<Host> {
  const stored = new Map<string, Uint8Array>();
  const sizes: Record<string, number> = {};
  for (const [name, bytes] of Object.entries(files)) {
    sizes[name] = bytes.length;
    for (let i = 0; i * partBytes < bytes.length; i++) {
      stored.set(`/model/${name}.${i}`, bytes.slice(i * partBytes, (i + 1) * partBytes));
    }
  }
  const index = JSON.stringify({ format: 1, partBytes, files: sizes });
  stored.set("/model/parts.json", new TextEncoder().encode(index));
  for (const [path, bytes] of Object.entries(broken)) stored.set(path, bytes);
  const asked: string[] = [];
  const source = await openParts(PREFIX, ({ pathname }) => {
    asked.push(pathname);
    const bytes = stored.get(pathname);
    return Promise.resolve(
      bytes === undefined
        ? new Response("no", { status: 404 })
        : new Response(bytes as Uint8Array<ArrayBuffer>), // never shared
    );
  });
  asked.length = 0;
  return { source, asked };
}

Deno.test("openParts() reads across parts, and fetches each part once for neighbours", async () => {
  const { source, asked } = await host({ "a.bin": BYTES });
  assertEquals(await source.size("a.bin"), 2500);
  assertEquals(await source.size("b.bin"), undefined);
  assertEquals(await source.list(), ["a.bin"]);
  assertEquals(await source.read("a.bin", { offset: 990, length: 20 }), BYTES.slice(990, 1010));
  assertEquals(await source.read("a.bin", { offset: 1010, length: 5 }), BYTES.slice(1010, 1015));
  assertEquals(await source.read("a.bin", { offset: 0, length: 2500 }), BYTES);
  assertEquals((await source.read("a.bin", { offset: 2500, length: 0 })).length, 0);
  const parts = [0, 1, 0, 1, 2].map((i) => `/model/a.bin.${i}`); // the second part served two reads
  assertEquals(asked, parts);
});

Deno.test("openParts() streams blocks of 1 MiB, whatever its parts, and stops on a signal", async () => {
  const bytes = new Uint8Array(BLOCK_BYTES * 3 / 2);
  const { source } = await host({ a: bytes }, { partBytes: 300_001 });
  const whole = { offset: 0, length: bytes.length };
  const sizes: number[] = [];
  for await (const { length } of source.stream("a", whole)) sizes.push(length);
  assertEquals(sizes, [BLOCK_BYTES, BLOCK_BYTES / 2]);
  const stop = new AbortController();
  stop.abort(new RangeError("enough"));
  const read = async (): Promise<void> => {
    for await (const _ of source.stream("a", whole, stop.signal));
  };
  await assertRejects(read, RangeError, "enough");
});

Deno.test("openParts() refuses what is not there, leaves the source, or has another size", async () => {
  const { source } = await host({ a: BYTES }, {
    broken: { "/model/a.1": new Uint8Array(999) },
  });
  const read = (path: string, offset: number): Promise<Uint8Array> =>
    source.read(path, { offset, length: 9 });
  await assertRejects(() => read("b", 0), AssetError, "it must be in parts.json");
  await assertRejects(() => read("../a", 0), AssetError, "inside of the model directory");
  await assertRejects(() => read("a", 2495), AssetError, "current value is 2500 bytes");
  await assertRejects(() => read("a", 1500), AssetError, "must have 1000 bytes");
  const gone = (): Promise<Response> => Promise.resolve(new Response("no", { status: 404 }));
  await assertRejects(() => openParts(PREFIX, gone), AssetError, "must answer 200");
  const strange = (): Promise<Response> => Promise.resolve(Response.json({ format: 2 }));
  await assertRejects(() => openParts(PREFIX, strange), AssetError, "format");
});

Deno.test("a model in parts is the model in its directory", async () => {
  const names = ["model.json", "weights.safetensors"];
  const files = await Promise.all(names.map(async (name) => {
    return [name, await Deno.readFile(new URL(name, FASHION_DIT))] as const;
  }));
  const { source, asked } = await host(Object.fromEntries(files), { partBytes: 1 << 19 });
  const [inParts, onDisk] = [
    await openModelDirectory(source),
    await openModelDirectory(FASHION_DIT),
  ];
  const name = "blocks.3.mlp.fc1.weight";
  asked.length = 0;
  assertEquals(await inParts.weights.read(name), await onDisk.weights.read(name));
  assertEquals(asked.length, 1); // 0.3 MB of 16
  assertEquals(inParts.id, "fashion-dit");
  await inParts.close();
  await onDisk.close();
});
