import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { COMMIT, type FakeHub, fileOfBytes, startFakeHub } from "./fake_hub.ts";
import { openCachedUrl } from "../../../src/assets/hub/cached_url.ts";
import { openMemoryStore } from "../../../src/assets/store/chunk_store.ts";
import { openModelDirectory } from "../../../src/assets/model_dir.ts";
import type { KeptSource } from "../../../src/assets/hub/kept_files.ts";
import { locateKept } from "../../../src/assets/location.ts";
import { AssetError } from "../../../src/errors.ts";
import { fakeClock } from "../store/fake_clock.ts";
import { NET, numbered } from "./hub_fixture.ts";

const SMALL = fileOfBytes(numbered(5_000), "small"); // an etag and no hash
const LARGE = fileOfBytes(numbered(2_000_000), "large"); // led elsewhere, with its hash

interface Opened {
  readonly hub: FakeHub;
  /** Opens the prefix again, on the same store. */
  readonly open: (options?: { readonly offline: boolean }) => KeptSource;
  readonly notices: string[];
}

async function withPrefix(use: (opened: Opened) => Promise<void>): Promise<void> {
  await using hub = startFakeHub({ files: { "a/small.bin": SMALL, "large.bin": LARGE } });
  const store = openMemoryStore();
  const notices: string[] = [];
  const opened: KeptSource[] = [];
  const open: Opened["open"] = ({ offline } = { offline: false }) => {
    const source = openCachedUrl(`${hub.endpoint}owner/name/resolve/${COMMIT}/`, {
      store,
      settings: { endpoint: new URL("https://hub.example"), token: "hf_secret", offline },
      clock: fakeClock(),
      onDownload: (event) => void (event.kind === "notice" && notices.push(event.text)),
    });
    opened.push(source);
    return source;
  };
  try {
    await use({ hub, open, notices });
  } finally {
    for (const source of opened) await source.close();
  }
}

const whole = (source: KeptSource, path: string, length: number): Promise<Uint8Array> =>
  source.read(path, { offset: 0, length });

Deno.test(
  "openCachedUrl() downloads a file once and asks for its etag from then on",
  NET,
  async () => {
    await withPrefix(async ({ hub, open }) => {
      const source = open();
      assertEquals(await source.size("a/small.bin"), 5_000);
      assertEquals(await source.size("absent"), undefined);
      assertEquals(await whole(source, "a/small.bin", 5_000), SMALL.read(0, 5_000));
      hub.requests.length = 0;
      assertEquals(await whole(open(), "a/small.bin", 5_000), SMALL.read(0, 5_000));
      assertEquals(hub.requests.map(({ range }) => range), ["bytes=0-0"]);
      assert(hub.requests.every(({ authorization }) => authorization === null));
    });
  },
);

Deno.test(
  "openCachedUrl() checks the hash where the server tells it, and shares blobs with hf://",
  NET,
  async () => {
    await withPrefix(async ({ hub, open }) => {
      hub.troubles.push({ kind: "none" }, { kind: "wrong" });
      const source = open();
      await source.fetch("large.bin");
      assertEquals(await whole(source, "large.bin", 100), LARGE.read(0, 100));
      assertEquals(hub.requests.filter(({ host }) => host === "cdn").map(({ range }) => range), [
        "bytes=0-0",
        "bytes=0-1999999",
        "bytes=0-1999999", // the first had a wrong byte
      ]);
    });
  },
);

Deno.test("openCachedUrl() reads a header of a large file without the rest", NET, async () => {
  await withPrefix(async ({ hub, open }) => {
    assertEquals(await whole(open(), "large.bin", 8), LARGE.read(0, 8));
    assertEquals(hub.requests.at(-1)?.range, "bytes=0-7");
  });
});

Deno.test(
  "openCachedUrl() goes on after cuts, and refuses a file that changes meanwhile",
  NET,
  async () => {
    await withPrefix(async ({ hub, open }) => {
      hub.troubles.push({ kind: "none" }, { kind: "cut", after: 3_000 });
      assertEquals(await whole(open(), "a/small.bin", 5_000), SMALL.read(0, 5_000));
      assertEquals(hub.requests.at(-1)?.range, "bytes=3000-4999");
    });
    await withPrefix(async ({ hub, open }) => {
      hub.troubles.push(
        { kind: "none" },
        { kind: "cut", after: 3_000 },
        { kind: "changed", after: 2_000 },
      );
      const source = open();
      const read = (): Promise<Uint8Array> => whole(source, "a/small.bin", 5_000);
      await assertRejects(
        read,
        AssetError,
        'must stay the same while it is read: current value is etag "changed"',
      );
    });
  },
);

Deno.test("openCachedUrl() takes the new file when the etag is another", NET, async () => {
  await withPrefix(async ({ hub, open }) => {
    await open().fetch("a/small.bin");
    const headers = { etag: '"new"' };
    hub.intercept = () => new Response("news", { headers: { ...headers, "content-length": "4" } });
    const source = open();
    assertEquals(await source.size("a/small.bin"), 4);
    assertEquals(new TextDecoder().decode(await whole(source, "a/small.bin", 4)), "news");
  });
});

Deno.test("openCachedUrl() takes what it has when nobody answers, and offline", NET, async () => {
  await withPrefix(async ({ hub, open, notices }) => {
    await open().fetch("a/small.bin");
    hub.requests.length = 0;
    const offline = open({ offline: true });
    assertEquals(await whole(offline, "a/small.bin", 5_000), SMALL.read(0, 5_000));
    assertEquals(await offline.size("large.bin"), undefined);
    assertEquals(hub.requests, []);
    hub.intercept = () => new Response("", { status: 503 });
    assertEquals(await whole(open(), "a/small.bin", 5_000), SMALL.read(0, 5_000));
    assert(notices[0]!.endsWith("503; using what is in the cache"));
  });
});

for (
  const [what, headers] of [
    ["no etag", {}],
    ["a weak etag", { etag: 'W/"a"' }],
  ] as const
) {
  Deno.test(`openCachedUrl() keeps nothing that has ${what}`, NET, async () => {
    await withPrefix(async ({ hub, open }) => {
      hub.intercept = () => new Response("x", { headers: { ...headers, "content-length": "1" } });
      await assertRejects(() => open().size("a"), AssetError, "a strong etag (without cached+");
    });
  });
}

Deno.test("locateKept() takes hf:// and cached+ locations, and nothing else", () => {
  const url = locateKept("cached+https://models.example/a/x%20y.safetensors?key=1", {})!; // it is one
  assertEquals([url.file, url.source.name], ["x y.safetensors", "https://models.example/a/"]);
  assertEquals(locateKept("hf://owner/name/x.safetensors", {})?.file, "x.safetensors");
  for (const text of ["https://models.example/a", "/a", "cached+file:///a"]) {
    assertEquals(locateKept(text, {}), undefined);
  }
  assertThrows(() => locateKept("cached+https://", {}), AssetError, "must be a URL");
});

Deno.test("openModelDirectory() refuses a cached+ location that is no URL", async () => {
  await assertRejects(() => openModelDirectory("cached+https://"), AssetError, "must be a URL");
});
