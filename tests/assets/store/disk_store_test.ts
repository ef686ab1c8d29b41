import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type BlobStore,
  type PartialBlob,
  TakenError,
} from "../../../src/assets/store/blob_store.ts";
import { unwritable } from "../../../src/assets/store/disk_errors.ts";
import { openDiskStore } from "../../../src/assets/store/disk_store.ts";
import { AssetError } from "../../../src/errors.ts";
import { fakeClock } from "./fake_clock.ts";
import { numbered } from "../hub/hub_fixture.ts";

const BYTES = numbered(3 << 20);
const KEY = "sha256-abc";
const LONG_AGO = new Date(Date.now() - 3_600_000);

async function withStore(
  use: (store: BlobStore, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const store = openDiskStore(folder);
  try {
    await use(store, folder);
  } finally {
    await store.close();
    await Deno.chmod(folder, 0o700);
    await Deno.remove(folder, { recursive: true });
  }
}

async function begin(store: BlobStore): Promise<PartialBlob> {
  return (await store.begin(KEY, { size: BYTES.length, clock: fakeClock() }))!; // it is not whole
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
}

/** As if its owner had been dead for an hour. */
async function age(folder: string): Promise<void> {
  for (const name of await namesIn(`${folder}/partial`)) {
    await Deno.utime(`${folder}/partial/${name}`, LONG_AGO, LONG_AGO);
  }
}

Deno.test("disk store leaves nothing but the blob behind a commit", async () => {
  await withStore(async (store, folder) => {
    const partial = await begin(store);
    await partial.append(BYTES);
    await partial.commit();
    assertEquals(await namesIn(`${folder}/blobs`), [KEY]);
    assertEquals(await namesIn(`${folder}/partial`), []);
  });
});

Deno.test("disk store takes over from an owner that seems dead, who notices when it wakes", async () => {
  await withStore(async (store, folder) => {
    const asleep = await begin(store);
    await asleep.append(BYTES.subarray(0, (2 << 20) + 5)); // two blocks are on the disk
    await age(folder);
    const heir = await begin(openDiskStore(folder));
    assertEquals(heir.length, 2 << 20);
    await assertRejects(() => asleep.append(BYTES.subarray((2 << 20) + 5)), TakenError);
    await asleep.release();
    await heir.append(BYTES.subarray(heir.length));
    await heir.commit();
    assertEquals(await store.read(KEY, { offset: 0, length: BYTES.length }), BYTES);
    assertEquals(await namesIn(`${folder}/partial`), []);
  });
});

Deno.test("disk store does not touch the partial file of a living owner", async () => {
  await withStore(async (store, folder) => {
    const living = await begin(store);
    await living.append(BYTES.subarray(0, 1 << 20));
    await Deno.remove(`${folder}/partial/${KEY}.lock`); // stolen, by a mistake of somebody
    const other = await begin(openDiskStore(folder));
    assertEquals(other.length, 0);
    await living.append(BYTES.subarray(1 << 20));
    await living.commit();
    await other.append(BYTES);
    await other.commit();
    assertEquals(await store.read(KEY, { offset: 0, length: BYTES.length }), BYTES);
    assertEquals(await namesIn(`${folder}/partial`), []);
  });
});

Deno.test("disk store goes on with the longest leftover and removes the others", async () => {
  await withStore(async (store, folder) => {
    await Deno.mkdir(`${folder}/partial`, { recursive: true });
    const lengths = { one: 10, two: 500, "far-too-long": BYTES.length + 1 };
    for (const [name, length] of Object.entries(lengths)) {
      await Deno.writeFile(`${folder}/partial/${KEY}.${name}.part`, new Uint8Array(length));
    }
    await Deno.writeFile(`${folder}/partial/sha256-other.part`, new Uint8Array(7));
    await age(folder);
    const partial = await begin(store);
    assertEquals(partial.length, 500);
    await partial.discard();
    assertEquals(await namesIn(`${folder}/partial`), ["sha256-other.part"]);
  });
});

Deno.test("disk store does not trust a blob that lost its end", async () => {
  await withStore(async (store, folder) => {
    await Deno.mkdir(`${folder}/blobs`, { recursive: true });
    await Deno.writeFile(`${folder}/blobs/${KEY}`, BYTES.subarray(0, 9));
    const partial = await begin(store);
    await partial.append(BYTES);
    await partial.commit();
    assertEquals(await store.size(KEY), BYTES.length);
  });
});

Deno.test({
  name: "disk store says that its folder must be writable, and still reads",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0, // root may write everything
  fn: async () => {
    await withStore(async (store, folder) => {
      const partial = await begin(store);
      await partial.append(BYTES);
      await partial.commit();
      for (const name of ["partial", "blobs"]) await Deno.chmod(`${folder}/${name}`, 0o500);
      await Deno.chmod(folder, 0o500);
      assertEquals((await store.read(KEY, { offset: 0, length: 1 })).length, 1);
      const options = { size: 1, clock: fakeClock() };
      await assertRejects(() => store.begin("git-def", options), AssetError, "must be writable");
      await assertRejects(() => store.writeText("refs/a", "b"), AssetError, "must be writable");
      for (const name of ["partial", "blobs"]) await Deno.chmod(`${folder}/${name}`, 0o700);
    });
  },
});

Deno.test({
  name: "disk store says that it is a file where its folder should be",
  fn: async () => {
    await withStore(async (_, folder) => {
      await Deno.writeTextFile(`${folder}/file`, "");
      const store = openDiskStore(`${folder}/file`);
      await assertRejects(() => store.writeText("refs/a", "b"), AssetError, "Cannot write");
      await assertRejects(() => begin(store), AssetError, "Cannot write");
      assertEquals(await store.size(KEY), undefined);
    });
  },
});

Deno.test({
  name: "disk store says which permission is missing",
  permissions: { read: true, write: false },
  fn: async () => {
    const store = openDiskStore("/no/such/folder");
    await assertRejects(() => begin(store), AssetError, "(Deno: --allow-write)");
    await assertRejects(() => store.writeText("a/b", "c"), AssetError, "(Deno: --allow-write)");
  },
});

Deno.test("disk store says that the disk is full, and keeps what has come", async () => {
  const full = Object.assign(new Error("write"), { code: "ENOSPC" });
  const error = assertThrows(() => unwritable("/cache/x", full), AssetError);
  assertEquals(
    error.message,
    "Cannot write /cache/x: the disk must have room (INVARDIFF_CACHE chooses another folder); " +
      "what was downloaded is kept",
  );
  await withStore(async (store) => {
    const partial = await begin(store);
    await partial.append(BYTES.subarray(0, 2 << 20));
    await partial.release(); // as a download does when append() fails
    const next = await begin(store);
    assert(next.length === 2 << 20);
    await next.discard();
  });
});
