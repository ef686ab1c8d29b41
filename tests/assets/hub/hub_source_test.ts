import { assert, assertEquals, assertRejects } from "@std/assert";
import { COMMIT, type FakeHub, fileOfBytes, startFakeHub } from "./fake_hub.ts";
import type { BlobStore } from "../../../src/assets/store/blob_store.ts";
import { openMemoryStore } from "../../../src/assets/store/chunk_store.ts";
import { openHub } from "../../../src/assets/hub/hub_source.ts";
import type { HubOptions, KeptSource } from "../../../src/assets/hub/kept_files.ts";
import { openSafetensors } from "../../../src/assets/formats/safetensors.ts";
import { AssetError } from "../../../src/errors.ts";
import { fakeClock } from "../store/fake_clock.ts";
import { file, ramp } from "../files.ts";
import { NET, numbered } from "./hub_fixture.ts";

const json = (value: unknown): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(JSON.stringify(value));
const WEIGHTS = file({ x: { dims: [500_000], data: ramp(500_000) } });
const FILES = {
  "config.json": fileOfBytes(json({ a: 1 }), "small"),
  "transformer/config.json": fileOfBytes(json({ b: 2 }), "small"),
  "transformer/part one/weights.safetensors": fileOfBytes(WEIGHTS, "large"),
  "transformer/small.bin": fileOfBytes(numbered(900), "large"),
  "vae/config.json": fileOfBytes(json({ c: 3 }), "small"),
};
const BIG = "transformer/part one/weights.safetensors";

interface Opened {
  readonly hub: FakeHub;
  /** Opens another source on the same store. */
  readonly open: (location?: string, options?: HubOptions & { offline?: boolean }) => KeptSource;
  readonly notices: string[];
}

async function withHub(
  use: (opened: Opened) => Promise<void>,
  { store = openMemoryStore(), pageSize = 1000 }: { store?: BlobStore; pageSize?: number } = {},
): Promise<void> {
  await using hub = startFakeHub({ files: FILES, pageSize });
  const sources: KeptSource[] = [];
  const notices: string[] = [];
  const open: Opened["open"] = (
    location = "hf://owner/name",
    { offline = false, ...given } = {},
  ) => {
    const source = openHub(location, {
      store,
      settings: { endpoint: hub.endpoint, offline },
      clock: fakeClock(),
      onDownload: (event) => void (event.kind === "notice" && notices.push(event.text)),
      ...given,
    });
    sources.push(source);
    return source;
  };
  try {
    await use({ hub, open, notices });
  } finally {
    for (const source of sources) await source.close();
  }
}

async function readJson(source: KeptSource, path: string): Promise<unknown> {
  const length = (await source.size(path))!; // the callers' files are there
  return JSON.parse(new TextDecoder().decode(await source.read(path, { offset: 0, length })));
}

function routes({ requests }: FakeHub): readonly string[] {
  return requests.map(({ host, path }) =>
    host === "cdn" ? "cdn" : path.replaceAll(COMMIT, "COMMIT")
  );
}

Deno.test(
  "openHub() finds revision and files by two requests, then each file by one",
  NET,
  async () => {
    await withHub(async ({ hub, open }) => {
      const source = open();
      assertEquals(hub.requests.length, 0);
      assertEquals(await source.size("config.json"), 7);
      assertEquals(await source.size("model.json"), undefined);
      assertEquals(await readJson(source, "transformer/config.json"), { b: 2 });
      assertEquals(await readJson(source, "transformer/config.json"), { b: 2 });
      assertEquals(routes(hub), [
        "/api/models/owner/name/revision/main",
        "/api/models/owner/name/tree/COMMIT?recursive=1",
        "/owner/name/resolve/COMMIT/transformer/config.json",
      ]);
    });
  },
);

Deno.test("openHub() lists what lies beside each other, and below a subfolder", NET, async () => {
  await withHub(async ({ open }) => {
    assertEquals(await open().list(), ["config.json", "transformer", "vae"]);
    const below = open("hf://owner/name/transformer");
    assertEquals(await below.list(), ["config.json", "part one", "small.bin"]);
    assertEquals(await readJson(below, "config.json"), { b: 2 });
    assertEquals(await below.size("../config.json").catch((error) => error.name), "AssetError");
    assertEquals(below.name, "hf://owner/name/transformer");
    assertEquals(await below.list("part one"), ["weights.safetensors"]);
    assertEquals(await open().list("transformer"), await below.list());
    assertEquals(await open("hf://owner/name/absent").list(), []);
  });
});

Deno.test("openHub() reads every page of a listing", NET, async () => {
  await withHub(async ({ hub, open }) => {
    const source = open();
    for (const path of Object.keys(FILES)) assert(await source.size(path) !== undefined, path);
    assertEquals(hub.requests.length, 1 + 3);
  }, { pageSize: 2 });
});

Deno.test(
  "openHub() reads a header without its file, and a tensor from the cache",
  NET,
  async () => {
    await withHub(async ({ hub, open }) => {
      const source = open();
      const weights = await openSafetensors(source, BIG);
      assertEquals(hub.requests.filter(({ host }) => host === "cdn").map(({ range }) => range), [
        "bytes=0-7",
        "bytes=8-79",
      ]);
      const { data } = await weights.readFloat32("x");
      assertEquals(data[499_999], ramp(500_000)[499_999]);
      const { length } = hub.requests;
      assertEquals(
        await weights.sample("x", [3, 499_999]),
        data.filter((_, i) => [3, 499_999].includes(i)),
      );
      await openSafetensors(open(), BIG);
      assertEquals(hub.requests.length, length + 1); // of the revision
    });
  },
);

Deno.test(
  "openHub() reads a header by a download where the server has no ranges",
  NET,
  async () => {
    await withHub(async ({ hub, open }) => {
      hub.troubles.push({ kind: "whole" });
      await openSafetensors(open(), BIG);
      assertEquals(hub.requests.at(-1)?.range, `bytes=0-${WEIGHTS.length - 1}`);
    });
  },
);

Deno.test("openHub() makes readers at the same time share one download", NET, async () => {
  await withHub(async ({ hub, open }) => {
    const source = open();
    const range = { offset: 0, length: 900 };
    await Promise.all([1, 2, 3].map(() => source.read("transformer/small.bin", range)));
    assertEquals(routes(hub).filter((route) => route === "cdn").length, 1);
  });
});

Deno.test("openHub() asks nothing for a commit that is in the cache", NET, async () => {
  await withHub(async ({ hub, open }) => {
    await readJson(open(`hf://owner/name@${COMMIT}`), "config.json");
    assertEquals(routes(hub)[0], "/api/models/owner/name/tree/COMMIT?recursive=1");
    hub.requests.length = 0;
    assertEquals(await readJson(open(`hf://owner/name@${COMMIT}`), "config.json"), { a: 1 });
    assertEquals(hub.requests, []);
  });
});

Deno.test(
  "openHub() asks what a branch means now, and takes what it meant when nobody answers",
  NET,
  async () => {
    await withHub(async ({ hub, open, notices }) => {
      await readJson(open(), "config.json");
      hub.requests.length = 0;
      await readJson(open(), "config.json");
      assertEquals(routes(hub), ["/api/models/owner/name/revision/main"]);
      assertEquals(notices, []);
      hub.intercept = () => new Response("", { status: 503 });
      assertEquals(await readJson(open(), "config.json"), { a: 1 });
      assertEquals(hub.requests.length, 2); // once: there is something to fall back on
      assert(notices[0]!.endsWith(`using commit ${COMMIT} of main, which is in the cache`));
      await assertRejects(() => readJson(open(), "vae/config.json"), AssetError, "is 503");
    });
  },
);

Deno.test("openHub() does not fall back when the hub says no", NET, async () => {
  await withHub(async ({ hub, open }) => {
    await readJson(open(), "config.json");
    hub.intercept = () => new Response("", { status: 404 });
    await assertRejects(() => open().size("config.json"), AssetError, "it must exist");
  });
});

Deno.test("openHub() offline reads what is in the cache and names what is not", NET, async () => {
  await withHub(async ({ hub, open }) => {
    const offline = { offline: true };
    await assertRejects(
      () => open("hf://owner/name", offline).size("config.json"),
      AssetError,
      "Cannot read revision main of owner/name offline: it must be in the cache",
    );
    await assertRejects(
      () => open(`hf://owner/name@${COMMIT}`, offline).size("config.json"),
      AssetError,
      `Cannot read the files of commit ${COMMIT} of owner/name offline`,
    );
    await readJson(open(), "config.json");
    hub.requests.length = 0;
    const source = open("hf://owner/name", offline);
    assertEquals(await readJson(source, "config.json"), { a: 1 });
    await assertRejects(
      () => source.read(BIG, { offset: 0, length: 8 }),
      AssetError,
      `Cannot read ${BIG} of hf://owner/name offline: it must be in the cache`,
    );
    assertEquals(hub.requests, []);
  });
});

Deno.test(
  "openHub() keeps working with a cache that takes nothing, when everything is there",
  NET,
  async () => {
    const full = openMemoryStore();
    const refuse = (): Promise<never> => Promise.reject(new AssetError("Cannot write x"));
    const readOnly: BlobStore = {
      name: "read-only",
      size: (key) => full.size(key),
      read: (key, range) => full.read(key, range),
      readText: (path) => full.readText(path),
      writeText: refuse,
      begin: refuse,
      close: () => full.close(),
    };
    await withHub(async ({ open, notices }) => {
      await readJson(open(), "config.json");
      assertEquals(await readJson(open("hf://owner/name", { store: readOnly }), "config.json"), {
        a: 1,
      });
      const other = open("hf://owner/name@other", { store: readOnly });
      assertEquals(await readJson(other, "config.json"), { a: 1 });
      assertEquals(notices, ["Cannot write x"]);
      const absent = (): Promise<unknown> => readJson(other, "vae/config.json");
      await assertRejects(absent, AssetError, "Cannot write x");
    }, { store: full });
  },
);

for (
  const [what, text] of [
    ["no JSON", "{"],
    ["another format", '{"format":2,"files":[]}'],
    [
      "a hash that is a path",
      '{"format":1,"files":[{"path":"config.json","size":7,"hash":' +
      '{"kind":"git","hex":"../../../../../../../../../../etc/passwd"}}]}',
    ],
  ] as const
) {
  Deno.test(`openHub() asks again when its remembered listing is ${what}`, NET, async () => {
    const store = openMemoryStore();
    await withHub(async ({ hub, open }) => {
      const host = encodeURIComponent(hub.endpoint.host);
      await store.writeText(`index/${host}/owner/name/${COMMIT}.json`, text);
      assertEquals(await readJson(open(), "config.json"), { a: 1 });
    }, { store });
  });
}

for (
  const [what, answer, says] of [
    ["no JSON", new Response("<html>"), "it must be JSON"],
    ["JSON of another kind", Response.json([1]), "it must be of type object"],
    ["a revision that is no commit", Response.json({ sha: "../x" }), "sha must"],
  ] as const
) {
  Deno.test(`openHub() refuses a hub that answers ${what}`, NET, async () => {
    await withHub(async ({ hub, open }) => {
      hub.intercept = () => answer;
      await assertRejects(() => open().size("config.json"), AssetError, says);
    });
  });
}

Deno.test("openHub() does not read the next page of a listing from elsewhere", NET, async () => {
  await withHub(async ({ hub, open }) => {
    const link = `<${hub.cdn}tree>; rel="next"`;
    hub.intercept = (request) =>
      request.url.includes("/tree/") ? Response.json([], { headers: { link } }) : undefined;
    await assertRejects(
      () => open().size("a"),
      AssetError,
      "its next page must be on the same server",
    );
  });
});

for (const [status, code] of [[404, "RepoNotFound"], [401, "RepoNotFound"]] as const) {
  Deno.test(`openHub() says to check the name where a hub answers ${status}`, NET, async () => {
    await withHub(async ({ hub, open }) => {
      const headers = { "x-error-code": code };
      hub.intercept = () => new Response("", { status, headers });
      await assertRejects(
        () => open("hf://owner/nmae").size("config.json"),
        AssetError,
        `current value is ${status}, ${code}; check owner, name and revision (a private or gated ` +
          "one needs HF_TOKEN)",
      );
    });
  });
}

Deno.test("openHub() follows a repository that got another name", NET, async () => {
  await withHub(async ({ hub, open }) => {
    hub.intercept = ({ url }) =>
      url.includes("/old/")
        ? new Response(null, {
          status: 307,
          headers: { location: new URL(url).pathname.replace("/old/", "/owner/") },
        })
        : undefined;
    assertEquals(await readJson(open("hf://old/name"), "config.json"), { a: 1 });
  });
});

Deno.test("openHub() stops reading when it is closed, and downloading with it", NET, async () => {
  await withHub(async ({ hub, open }) => {
    hub.troubles.push({ kind: "silence", after: 1000 });
    const source = open();
    await source.size(BIG);
    const reading = source.fetch(BIG);
    reading.catch(() => undefined); // it is awaited below
    await source.close();
    await assertRejects(() => reading, AssetError, "before it is closed");
    await assertRejects(() => source.read(BIG, { offset: 0, length: 1 }), AssetError, "closed");
  });
});

Deno.test("openHub() lets one reader stop and the others go on", NET, async () => {
  await withHub(async ({ open }) => {
    const source = open();
    const abort = new AbortController();
    const stopped = source.fetch(BIG, abort.signal);
    const going = source.fetch(BIG);
    stopped.catch(() => undefined); // it is awaited below
    abort.abort(new RangeError("enough"));
    await assertRejects(() => stopped, RangeError, "enough");
    await going;
  });
});

Deno.test(
  "openHub() says that a file must exist, and that a range must be in it",
  NET,
  async () => {
    await withHub(async ({ open }) => {
      const source = open();
      const read = (path: string, length: number): Promise<unknown> =>
        source.read(path, { offset: 0, length });
      await assertRejects(
        () => read("absent", 1),
        AssetError,
        "absent in hf://owner/name: it must exist",
      );
      await assertRejects(() => read("config.json", 8), AssetError, "current value is 7 bytes");
      await assertRejects(() => source.fetch("absent"), AssetError, "it must exist");
    });
  },
);
