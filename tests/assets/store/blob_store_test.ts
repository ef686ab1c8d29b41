/** One suite, run against every store. */
import { assertEquals, assertRejects } from "@std/assert";
import type { BlobStore, PartialBlob } from "../../../src/assets/store/blob_store.ts";
import {
  cacheValues,
  CHUNK_BYTES,
  openCacheStore,
  openChunkStore,
  openMemoryStore,
  spilling,
  type ValueStore,
} from "../../../src/assets/store/chunk_store.ts";
import { openDiskStore } from "../../../src/assets/store/disk_store.ts";
import { AssetError } from "../../../src/errors.ts";
import { fakeClock } from "./fake_clock.ts";
import { numbered } from "../hub/hub_fixture.ts";

const BYTES = numbered(CHUNK_BYTES + 1000);
const KEY = "sha256-abc";
const CLOCK = fakeClock();

/** What every store does. */
const CASES: Readonly<Record<string, (store: BlobStore, again: () => BlobStore) => Promise<void>>> =
  {
    "gives a blob its key when it is committed, not before": async (store) => {
      const partial = await begin(store);
      await partial.append(BYTES.subarray(0, 5));
      await partial.append(BYTES.subarray(5));
      assertEquals([partial.length, await store.size(KEY)], [BYTES.length, undefined]);
      await partial.commit();
      assertEquals(await store.size(KEY), BYTES.length);
      const range = { offset: CHUNK_BYTES - 7, length: 20 };
      assertEquals(await store.read(KEY, range), BYTES.slice(CHUNK_BYTES - 7, CHUNK_BYTES + 13));
      assertEquals(await store.begin(KEY, { size: BYTES.length, clock: CLOCK }), undefined);
    },

    "goes on with what was released, in another process too": async (store, again) => {
      const first = await begin(store);
      await first.append(BYTES.subarray(0, CHUNK_BYTES + 10));
      await first.release();
      const second = await begin(again());
      // In chunks the last one comes again.
      assertEquals(CHUNK_BYTES <= second.length && second.length <= CHUNK_BYTES + 10, true);
      assertEquals(await contentOf(second), BYTES.slice(0, second.length));
      await second.append(BYTES.subarray(second.length));
      await second.commit();
      assertEquals(await store.read(KEY, { offset: 0, length: BYTES.length }), BYTES);
    },

    "keeps nothing of what was discarded or begun anew": async (store) => {
      const first = await begin(store);
      await first.append(BYTES);
      await first.restart();
      assertEquals(first.length, 0);
      assertEquals(await contentOf(first), new Uint8Array());
      await first.append(BYTES.subarray(0, 3));
      await first.discard();
      const second = await begin(store);
      assertEquals(second.length, 0);
      await second.discard();
    },

    "keeps a blob of 0 bytes": async (store) => {
      const partial = (await store.begin(KEY, { size: 0, clock: CLOCK }))!; // it is new
      await partial.commit();
      assertEquals(await store.size(KEY), 0);
      assertEquals(await store.read(KEY, { offset: 0, length: 0 }), new Uint8Array());
    },

    "replaces a blob of another size": async (store) => {
      const first = (await store.begin(KEY, { size: 3, clock: CLOCK }))!; // it is new
      await first.append(BYTES.subarray(0, 3));
      await first.commit();
      const second = await begin(store);
      await second.append(BYTES.subarray(second.length));
      await second.commit();
      assertEquals(await store.size(KEY), BYTES.length);
    },

    "refuses ranges that are not there": async (store) => {
      const read = (): Promise<Uint8Array> => store.read(KEY, { offset: 0, length: 1 });
      await assertRejects(read, AssetError);
    },

    "lets one begin at a time, and tells the others": async (store) => {
      const first = await begin(store);
      const told: string[] = [];
      const waiting = store.begin(KEY, {
        size: BYTES.length,
        clock: CLOCK,
        onWait: () => void told.push("waits"),
      });
      await first.append(BYTES);
      await first.commit();
      assertEquals(await waiting, undefined);
      assertEquals(told, ["waits"]);
    },

    "stops waiting with the reason of a signal": async (store) => {
      const first = await begin(store);
      const abort = new AbortController();
      const waiting = store.begin(KEY, {
        size: BYTES.length,
        clock: CLOCK,
        signal: abort.signal,
        onWait: () => abort.abort(new RangeError("enough")),
      });
      await assertRejects(() => waiting, RangeError, "enough");
      await first.release();
      await (await begin(store)).release(); // nobody holds a lock that nobody waits for
    },

    "keeps short texts": async (store) => {
      assertEquals(await store.readText("refs/a/main"), undefined);
      await store.writeText("refs/a/main", "one");
      await store.writeText("refs/a/main", "two");
      assertEquals(await store.readText("refs/a/main"), "two");
    },
  };

async function begin(store: BlobStore): Promise<PartialBlob> {
  return (await store.begin(KEY, { size: BYTES.length, clock: CLOCK }))!; // it is not whole yet
}

async function contentOf(partial: PartialBlob): Promise<Uint8Array> {
  const bytes = new Uint8Array(partial.length);
  let at = 0;
  for await (const part of partial.content()) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function suite(
  kind: string,
  use: (run: (store: BlobStore, again: () => BlobStore) => Promise<void>) => Promise<void>,
): void {
  for (const [does, run] of Object.entries(CASES)) {
    Deno.test(`${kind} store ${does}`, async () => {
      await use(async (store, again) => {
        try {
          await run(store, again);
        } finally {
          await store.close();
        }
      });
    });
  }
}

suite("memory", async (run) => {
  const store = openMemoryStore();
  await run(store, () => store);
});

suite("disk", async (run) => {
  const folder = await Deno.makeTempDir();
  try {
    await run(openDiskStore(`${folder}/new`), () => openDiskStore(`${folder}/new`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

suite("Cache API", async (run) => {
  const name = `test ${crypto.randomUUID()}`;
  const cache = await caches.open(name);
  try {
    await run(openChunkStore(cacheValues(cache)), () => openChunkStore(cacheValues(cache)));
  } finally {
    await caches.delete(name);
  }
});

/** A value store with room for so many values. */
function smallStore(room: number): ValueStore & { readonly values: Map<string, Uint8Array> } {
  const values = new Map<string, Uint8Array>();
  return {
    name: "a small store",
    values,
    get: (name) => Promise.resolve(values.get(name)),
    drop: (name) => Promise.resolve(void values.delete(name)),
    put: (name, bytes) => {
      if (values.size >= room) {
        return Promise.reject(new DOMException("no room", "QuotaExceededError"));
      }
      values.set(name, bytes);
      return Promise.resolve();
    },
  };
}

suite("full", async (run) => {
  const store = openChunkStore(spilling(smallStore(1), () => {}));
  await run(store, () => store);
});

Deno.test("spilling() says once that there is no room, and the store trusts nothing half kept", async () => {
  let told = 0;
  const small = smallStore(1);
  const store = openChunkStore(spilling(small, () => void told++));
  const partial = await begin(store);
  await partial.append(BYTES);
  await partial.commit();
  assertEquals(await store.read(KEY, { offset: 0, length: BYTES.length }), BYTES);
  assertEquals([told, small.values.size], [1, 1]);
  assertEquals(await openChunkStore(small).size(KEY), undefined); // the next visit begins again
});

Deno.test("openCacheStore() names a chunk that the browser evicted", async () => {
  const name = `test ${crypto.randomUUID()}`;
  try {
    const store = await openCacheStore(name, () => {});
    const partial = await begin(store);
    await partial.append(BYTES);
    await partial.commit();
    await cacheValues(await caches.open(name)).drop(`${KEY}/1`);
    const read = (): Promise<Uint8Array> => store.read(KEY, { offset: 0, length: BYTES.length });
    await assertRejects(read, AssetError, "all of its chunks must be there");
    assertEquals(await store.size(KEY), undefined); // so that it comes again
  } finally {
    await caches.delete(name);
  }
});
