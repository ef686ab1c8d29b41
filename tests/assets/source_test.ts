import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { BLOCK_BYTES, openDirectory, openMemory, type Source } from "../../src/assets/source.ts";
import { AssetError } from "../../src/errors.ts";

const BYTES = Uint8Array.from({ length: 3 * BLOCK_BYTES / 2 }, (_, i) => i % 251);

/** What every kind of source does; each runs against memory, a path and a `file:` URL. */
const CASES: Readonly<Record<string, (source: Source) => Promise<void>>> = {
  "tells the size of a file, and that a file is absent": async (source) => {
    assertEquals(await source.size("a.bin"), BYTES.length);
    assertEquals(await source.size("empty"), 0);
    assertEquals(await source.size("b.bin"), undefined);
  },

  "reads exactly the range": async (source) => {
    const range = { offset: BLOCK_BYTES - 3, length: 7 };
    assertEquals([...await source.read("a.bin", range)], [
      ...BYTES.subarray(range.offset, range.offset + 7),
    ]);
    assertEquals((await source.read("empty", { offset: 0, length: 0 })).length, 0);
  },

  "streams blocks of 1 MiB and a shorter last one": async (source) => {
    const sizes: number[] = [];
    for await (const block of source.stream("a.bin", { offset: 1, length: BYTES.length - 1 })) {
      assertEquals(block[0], BYTES[1 + sizes.reduce((sum, size) => sum + size, 0)]);
      sizes.push(block.length);
    }
    assertEquals(sizes, [BLOCK_BYTES, BLOCK_BYTES / 2 - 1]);
  },

  "streams small ranges as they are, in any order and two at a time": async (source) => {
    const places = [
      0,
      5,
      999_000,
      20,
      BLOCK_BYTES - 3,
      BLOCK_BYTES / 2,
      1_400_000,
      7,
      BYTES.length - 9,
    ];
    const bytesAt = async (offset: number, length: number): Promise<number[]> => {
      const all: number[] = [];
      for await (const block of source.stream("a.bin", { offset, length })) all.push(...block);
      return all;
    };
    for (const [i, at] of places.entries()) {
      const other = places.at(-1 - i)!;
      const found = await Promise.all([bytesAt(at, 9), bytesAt(other, 4), bytesAt(at, 0)]);
      const wanted = [BYTES.slice(at, at + 9), BYTES.slice(other, other + 4), []];
      assertEquals(found, wanted.map((bytes) => [...bytes]));
    }
  },

  "stops streaming with the reason of its signal": async (source) => {
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      const range = { offset: 0, length: BYTES.length };
      for await (const _ of source.stream("a.bin", range, abort.signal)) {
        abort.abort(new RangeError("enough"));
      }
    };
    await assertRejects(read, RangeError, "enough");
  },

  "refuses a range beyond the end before it takes memory": async (source) => {
    for (const range of [{ offset: 0, length: 2 ** 50 }, { offset: BYTES.length, length: 1 }]) {
      await assertRejects(
        () => source.read("a.bin", range),
        AssetError,
        `current value is ${BYTES.length} bytes`,
      );
    }
    await assertRejects(() => source.read("a.bin", { offset: -1, length: 1 }), AssetError);
    await assertRejects(() => source.read("a.bin", { offset: 0.5, length: 1 }), AssetError);
  },

  "refuses paths that leave it": async (source) => {
    for (const path of ["../a.bin", "/etc/passwd", "x/../../y", "C:\\a", "", "a//b", "a\0b", "."]) {
      await assertRejects(() => source.size(path), AssetError, "stay inside");
      await assertRejects(() => source.read(path, { offset: 0, length: 0 }), AssetError);
    }
  },

  "says that a file must exist when it is read": async (source) => {
    const read = (): Promise<Uint8Array> => source.read("b.bin", { offset: 0, length: 1 });
    await assertRejects(read, AssetError, "it must exist");
  },

  "lists its files": async (source) => {
    assertEquals([...(await source.list())!].sort(), ["a.bin", "empty"]);
  },
};

function suite(
  kind: string,
  open: (files: ReadonlyMap<string, Uint8Array>) => Promise<Source>,
): void {
  for (const [does, run] of Object.entries(CASES)) {
    Deno.test(`${kind} source ${does}`, async () => {
      const source = await open(new Map([["a.bin", BYTES], ["empty", new Uint8Array()]]));
      try {
        await run(source);
      } finally {
        await source.close();
      }
    });
  }
}

const created: string[] = [];

async function onDisk(files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  const directory = await Deno.makeTempDir();
  created.push(directory);
  for (const [name, bytes] of files) await Deno.writeFile(`${directory}/${name}`, bytes);
  return directory;
}

suite("memory", (files) => Promise.resolve(openMemory(files)));
suite("disk", async (files) => openDirectory(await onDisk(files)));
suite("file: URL", async (files) => openDirectory(new URL(`file://${await onDisk(files)}/`)));

Deno.test("openDirectory() is touched by the first read only, and names what is missing", async () => {
  const source = openDirectory("/no/such/directory");
  assertEquals(await source.size("a"), undefined);
  await assertRejects(() => source.list(), AssetError, "/no/such/directory: it must exist");
  await source.close();
});

Deno.test("openDirectory() refuses to read after close()", async () => {
  const source = openDirectory(await onDisk(new Map([["a", new Uint8Array(4)]])));
  await source.read("a", { offset: 0, length: 4 });
  await source.close();
  await assertRejects(() => source.size("a"), AssetError, "before it is closed");
});

Deno.test("openDirectory() refuses a folder, and a pipe that would never end", async () => {
  const directory = await onDisk(new Map());
  await Deno.mkdir(`${directory}/folder.safetensors`);
  const source = openDirectory(directory);
  await assertRejects(() => source.size("folder.safetensors"), AssetError, "it must be a file");
  if (Deno.build.os !== "windows") {
    await new Deno.Command("mkfifo", { args: [`${directory}/pipe`] }).output();
    await assertRejects(() => source.size("pipe"), AssetError, "it must be a file");
  }
  await source.close();
});

Deno.test("openDirectory() reads small ranges of a file together, of two places in turn", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeFile(`${folder}/a.bin`, BYTES);
  const source = openDirectory(folder);
  const first = async (offset: number): Promise<number> => {
    for await (const block of source.stream("a.bin", { offset, length: 1 })) return block[0]!;
    throw new Error("there is a byte");
  };
  const far = BLOCK_BYTES + 10;
  assertEquals([await first(0), await first(far)], [BYTES[0], BYTES[far]]);
  await Deno.writeFile(`${folder}/a.bin`, BYTES.map((byte) => 255 - byte)); // what is read again is another byte
  for (const offset of [1, far + 1, 2, far + 2]) assertEquals(await first(offset), BYTES[offset]);
  await source.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openDirectory() streams what is left of a file that became shorter while it was open", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeFile(`${folder}/a.bin`, BYTES);
  const source = openDirectory(folder);
  assertEquals(await source.size("a.bin"), BYTES.length);
  await Deno.truncate(`${folder}/a.bin`, 100);
  const read = async (length: number): Promise<number[]> => {
    const all: number[] = [];
    for await (const block of source.stream("a.bin", { offset: 50, length })) all.push(...block);
    return all;
  };
  assertEquals(await read(50), [...BYTES.slice(50, 100)]);
  await assertRejects(() => read(51), AssetError, "it must have bytes 50 to 101");
  await source.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("openDirectory() names the bytes that a file lost while it was open", async () => {
  const directory = await onDisk(new Map([["a", new Uint8Array(100)]]));
  const source = openDirectory(directory);
  assertEquals(await source.size("a"), 100);
  await Deno.truncate(`${directory}/a`, 10);
  const read = (): Promise<Uint8Array> => source.read("a", { offset: 0, length: 100 });
  await assertRejects(read, AssetError, "current value is 10 bytes");
  await source.close();
});

Deno.test({
  name: "openDirectory() says which permission is missing",
  permissions: { read: false },
  fn: async () => {
    const source = openDirectory("/etc");
    const error = await assertRejects(() => source.size("hostname"), AssetError);
    assertEquals(
      error.message,
      "Cannot read hostname in /etc: the process must have permission to read it (Deno: --allow-read)",
    );
    await source.close();
  },
});

Deno.test({
  name: "openDirectory() says that file permissions forbid reading",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0, // root may read everything
  fn: async () => {
    const directory = await onDisk(new Map([["secret", new Uint8Array(4)]]));
    await Deno.chmod(`${directory}/secret`, 0);
    const source = openDirectory(directory);
    const error = await assertRejects(() => source.size("secret"), AssetError);
    assertStringIncludes(error.message, "its file permissions must allow reading it");
    await source.close();
  },
});

Deno.test.afterAll(async () => {
  for (const directory of created) await Deno.remove(directory, { recursive: true });
});
