import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import {
  COMMIT,
  type FakeFile,
  type FakeHub,
  fileOfBytes,
  startFakeHub,
  type Trouble,
} from "./fake_hub.ts";
import { openMemoryStore } from "../../../src/assets/store/chunk_store.ts";
import { blobKey } from "../../../src/assets/store/content_hash.ts";
import { download, type RemoteBlob } from "../../../src/assets/hub/download.ts";
import type { DownloadEvent } from "../../../src/assets/hub/download_meter.ts";
import { urlBelow } from "../../../src/assets/store/ranged_response.ts";
import { AssetError } from "../../../src/errors.ts";
import { type FakeClock, fakeClock } from "../store/fake_clock.ts";
import { NET, numbered } from "./hub_fixture.ts";

const SIZE = 300_000;
const LARGE = fileOfBytes(numbered(SIZE), "large");
const SMALL = fileOfBytes(numbered(5_000), "small");

interface Outcome {
  readonly bytes: Uint8Array;
  readonly clock: FakeClock;
  readonly events: readonly DownloadEvent[];
  readonly hub: FakeHub;
}

/** Downloads a file from a hub with these troubles, into memory. */
async function downloaded(
  troubles: readonly Trouble[],
  { file = LARGE, token, prepare, silentAfter }: {
    readonly silentAfter?: number;
    readonly file?: FakeFile;
    readonly token?: string;
    readonly prepare?: (hub: FakeHub) => void;
  } = {},
): Promise<Outcome> {
  await using hub = startFakeHub({ files: { "a/weights.bin": file }, blockBytes: 10_000 });
  hub.troubles.push(...troubles);
  prepare?.(hub);
  const store = openMemoryStore();
  const silence = Promise.withResolvers<void>();
  const clock = fakeClock(silence.promise);
  const events: DownloadEvent[] = [];
  const onDownload = (event: DownloadEvent): void => {
    events.push(event);
    if (event.kind === "progress" && event.done === silentAfter) silence.resolve();
  };
  const blob = remote(hub, file);
  const access = { endpoint: hub.endpoint, clock, token };
  await download(blob, { store, access, onDownload });
  const bytes = await store.read(blob.key, { offset: 0, length: file.size });
  return { bytes, clock, events, hub };
}

function remote({ endpoint }: FakeHub, { size, sha256, git }: FakeFile): RemoteBlob {
  const path = "a/weights.bin";
  const url = urlBelow(endpoint, ["owner", "name", "resolve", COMMIT, ...path.split("/")]);
  const hash = sha256 === undefined
    ? { kind: "git", hex: git } as const
    : { kind: "sha256", hex: sha256 } as const;
  return { url, path, size, hash, key: blobKey(hash) };
}

function rangesOf({ requests }: FakeHub): readonly (string | null)[] {
  return requests.filter(({ host }) => host === "cdn").map(({ range }) => range);
}

Deno.test("download() gets a large file from where the hub leads, by one range", NET, async () => {
  const { bytes, hub, clock } = await downloaded([]);
  assertEquals(bytes, LARGE.read(0, SIZE));
  assertEquals(hub.requests.map(({ host, range }) => [host, range]), [
    ["hub", `bytes=0-${SIZE - 1}`],
    ["cdn", `bytes=0-${SIZE - 1}`],
  ]);
  assertEquals(clock.slept, []);
});

Deno.test("download() gets a small file by its git hash, and an empty one", NET, async () => {
  assertEquals((await downloaded([], { file: SMALL })).bytes, SMALL.read(0, SMALL.size));
  const empty = fileOfBytes(new Uint8Array(), "small");
  const { bytes, hub } = await downloaded([], { file: empty });
  assertEquals([bytes.length, hub.requests.length], [0, 0]); // its hash is known: nothing to ask for
});

Deno.test("download() goes on where the connection was cut", NET, async () => {
  const { bytes, hub, clock } = await downloaded([
    { kind: "cut", after: 120_000 },
    { kind: "cut", after: 0 },
    { kind: "short", bytes: 50_000 },
  ]);
  assertEquals(bytes, LARGE.read(0, SIZE));
  assertEquals(rangesOf(hub), [
    "bytes=0-299999",
    "bytes=120000-299999",
    "bytes=120000-299999",
    "bytes=250000-299999",
  ]);
  assertEquals(clock.slept.length, 3);
  clock.slept.forEach((slept, i) => { // doubled only by the try that got nothing
    const most = [500, 1000, 500][i]!;
    assert(slept >= most / 2 && slept <= most, `${clock.slept}`);
  });
});

Deno.test(
  "download() tells bytes, total, rate, the time that is left, and why it waits",
  NET,
  async () => {
    const { events } = await downloaded([{ kind: "cut", after: 100_000 }]);
    const last = events.findLast((event) => event.kind === "progress")!; // it did tell
    assertEquals(last, { ...last, path: "a/weights.bin", done: SIZE, total: SIZE, seconds: 0 });
    assert(last.rate > 0);
    const notice = events.find((event) => event.kind === "notice")!; // there was a cut
    assertStringIncludes(notice.text, "trying again in 0.");
    assert(!JSON.stringify(events).includes("secret"), "a signature is nobody's business");
  },
);

Deno.test("download() cuts a server off that goes silent, and goes on", NET, async () => {
  const { bytes, hub, events } = await downloaded([{ kind: "silence", after: 90_000 }], {
    silentAfter: 90_000,
  });
  assertEquals(bytes, LARGE.read(0, SIZE));
  assertEquals(rangesOf(hub), ["bytes=0-299999", "bytes=90000-299999"]);
  const notice = events.find((event) => event.kind === "notice")!; // there was a silence
  assertStringIncludes(notice.text, "the server sent nothing for 30 s; trying again in ");
});

Deno.test(
  "download() waits as long as a busy server asks for, 5 minutes at most",
  NET,
  async () => {
    const { clock } = await downloaded([
      { kind: "status", status: 429, headers: { "retry-after": "7" } },
      { kind: "status", status: 503, headers: { "retry-after": "100000" } },
      { kind: "status", status: 500 },
      { kind: "status", status: 403 }, // of the content network: its signature ran out
    ]);
    assertEquals(clock.slept.slice(0, 2), [7_000, 300_000]);
    assertEquals(clock.slept.length, 4);
  },
);

Deno.test(
  "download() gives up on a server that stays in trouble, with its last words",
  NET,
  async () => {
    const troubles = Array.from({ length: 6 }, () => ({ kind: "status", status: 503 }) as const);
    const error = await assertRejects(
      () => downloaded(troubles),
      AssetError,
      "current value is 503",
    );
    assertStringIncludes(error.message, "Cannot read http://127.0.0.1:");
    assert(!error.message.includes("signature"));
  },
);

for (
  const [status, says] of [
    [401, "HF_TOKEN must be a token that may read it: current value is 401"],
    [403, "HF_TOKEN must be a token that may read it: current value is 403"],
    [404, "it must exist: current value is 404, EntryNotFound"],
    [418, "must answer 200 or 206: current value is 418"],
  ] as const
) {
  Deno.test(`download() does not try again after ${status}`, NET, async () => {
    const headers = status === 404 ? { "x-error-code": "EntryNotFound" } : {};
    let asked = 0;
    const prepare = (hub: FakeHub): void => {
      hub.intercept = () => (asked++, new Response("no", { status, headers }));
    };
    await assertRejects(() => downloaded([], { prepare }), AssetError, says);
    assertEquals(asked, 1);
  });
}

Deno.test("download() does not believe a wrong content-range", NET, async () => {
  const { bytes } = await downloaded([
    { kind: "range", text: "bytes 1-299999/300000" },
    { kind: "range", text: "bytes 0-299999/300001" },
    { kind: "range", text: "nonsense" },
  ]);
  assertEquals(bytes, LARGE.read(0, SIZE));
});

for (
  const [what, trouble] of [
    ["refuses to go on there", { kind: "status", status: 416 }],
    ["goes on elsewhere", { kind: "range", text: "bytes 7-299999/300000" }],
  ] as const
) {
  Deno.test(`download() begins anew, once it is sure, when the server ${what}`, NET, async () => {
    const cut = { kind: "cut", after: 200_000 } as const;
    const { bytes, hub } = await downloaded([cut, trouble, trouble]);
    assertEquals(bytes, LARGE.read(0, SIZE));
    const [whole, rest] = ["bytes=0-299999", "bytes=200000-299999"];
    assertEquals(rangesOf(hub), [whole, rest, rest, whole]);
    assertEquals(rangesOf((await downloaded([cut, trouble])).hub), [whole, rest, rest]); // a slip
  });
}

Deno.test("download() begins anew when the server has no ranges any more", NET, async () => {
  const { bytes, hub } = await downloaded([{ kind: "cut", after: 200_000 }, { kind: "whole" }]);
  assertEquals(bytes, LARGE.read(0, SIZE));
  assertEquals(hub.requests.length, 4);
});

Deno.test(
  "download() gives up on a server without ranges that never gets to the end",
  NET,
  async () => {
    const troubles = Array.from({ length: 7 }, () => ({ kind: "whole", after: 200_000 }) as const);
    await assertRejects(() => downloaded(troubles), AssetError, "must answer to the end");
  },
);

Deno.test("download() begins anew when the etag changes between two parts", NET, async () => {
  const { bytes, hub, events } = await downloaded([
    { kind: "changed", after: 150_000 }, // bytes of another file
    { kind: "none" },
  ]);
  assertEquals(bytes, LARGE.read(0, SIZE));
  assertEquals(rangesOf(hub), ["bytes=0-299999", "bytes=150000-299999", "bytes=0-299999"]);
  assert(
    events.some((event) => event.kind === "notice" && event.text.includes("its etag must be")),
  );
});

Deno.test(
  "download() believes the hash alone: one wrong byte and it begins anew, once",
  NET,
  async () => {
    const { bytes } = await downloaded([{ kind: "wrong" }]);
    assertEquals(bytes, LARGE.read(0, SIZE));
    await assertRejects(
      () => downloaded([{ kind: "wrong" }, { kind: "wrong" }]),
      AssetError,
      `its sha256 must be ${LARGE.sha256}`,
    );
    await assertRejects(
      () => downloaded([{ kind: "wrong" }, { kind: "wrong" }], { file: SMALL }),
      AssetError,
      `its git blob hash must be ${SMALL.git}`,
    );
  },
);

Deno.test("download() takes no byte behind the last", NET, async () => {
  const { bytes } = await downloaded([{ kind: "extra", bytes: 999 }]);
  assertEquals(bytes, LARGE.read(0, SIZE));
});

Deno.test(
  "download() asks no bytes of a hub that names another hash than its listing",
  NET,
  async () => {
    let times = 0;
    const prepare = (hub: FakeHub): void => {
      hub.intercept = (request) => {
        if (!request.url.includes("/resolve/") || times++ > 0) return undefined;
        return new Response(null, {
          status: 302,
          headers: { location: "/elsewhere", "x-linked-etag": `"${"0".repeat(64)}"` },
        });
      };
    };
    await assertRejects(() => downloaded([], { prepare }), AssetError, "/elsewhere: it must exist");
  },
);

Deno.test("download() sends the token to the hub and to nobody else", NET, async () => {
  const { hub } = await downloaded([{ kind: "cut", after: 1 }], { token: "hf_secret" });
  assertEquals(hub.requests.map(({ host, authorization }) => [host, authorization]), [
    ["hub", "Bearer hf_secret"],
    ["cdn", null],
    ["hub", "Bearer hf_secret"],
    ["cdn", null],
  ]);
});

Deno.test(
  "download() keeps the token back for good once a redirect left the hub",
  NET,
  async () => {
    const prepare = (hub: FakeHub): void => {
      hub.intercept = (request): Response | undefined => {
        const url = new URL(request.url);
        if (url.pathname.includes("/resolve/")) return Response.redirect(`${hub.cdn.origin}/x`);
        if (url.pathname === "/x") return Response.redirect(`${hub.endpoint.origin}/back`);
        return url.pathname === "/back" ? new Response(LARGE.read(0, SIZE)) : undefined;
      };
    };
    const { hub } = await downloaded([], { token: "hf_secret", prepare });
    assertEquals(hub.requests.map(({ authorization }) => authorization), [
      "Bearer hf_secret",
      null,
      null,
    ]);
  },
);

for (
  const [location, says] of [
    ["ftp://127.0.0.1/x", "its redirect must lead to an https: URL"],
    ["", 'current value is ""'],
    ["/owner/name/resolve/again", "it must have at most 8 redirects"],
  ] as const
) {
  Deno.test(`download() does not follow a redirect to "${location}" for ever`, NET, async () => {
    const prepare = (hub: FakeHub): void => {
      hub.intercept = () => new Response(null, { status: 302, headers: { location } });
    };
    await assertRejects(() => downloaded([], { prepare }), AssetError, says);
  });
}

Deno.test(
  "download() stops with the reason of its signal, keeps what came, and goes on later",
  NET,
  async () => {
    await using hub = startFakeHub({ files: { "a/weights.bin": BIG }, blockBytes: 1 << 20 });
    const store = openMemoryStore();
    const access = { endpoint: hub.endpoint, clock: fakeClock() };
    const blob = remote(hub, BIG);
    const abort = new AbortController();
    const onDownload = (event: DownloadEvent): void => {
      if (event.kind === "progress" && event.done > 9 << 20) abort.abort(new RangeError("enough"));
    };
    await assertRejects(
      () => download(blob, { store, access, onDownload, signal: abort.signal }),
      RangeError,
      "enough",
    );
    assertEquals(await store.size(blob.key), undefined);
    await download(blob, { store, access });
    assertEquals(rangesOf(hub).at(-1), `bytes=${8 << 20}-${BIG.size - 1}`); // in chunks of 8 MiB
    const middle = { offset: (8 << 20) - 5, length: 10 };
    assertEquals(
      await store.read(blob.key, middle),
      BIG.read(middle.offset, middle.length),
    );
  },
);

const BIG = fileOfBytes(numbered(10 << 20), "large");

Deno.test("download() makes two of one store at once share one download", NET, async () => {
  await using hub = startFakeHub({ files: { "a/weights.bin": LARGE } });
  const store = openMemoryStore();
  const access = { endpoint: hub.endpoint, clock: fakeClock() };
  const blob = remote(hub, LARGE);
  const notices: string[] = [];
  const onDownload = (event: DownloadEvent): void => {
    if (event.kind === "notice") notices.push(event.text);
  };
  await Promise.all([1, 2, 3].map(() => download(blob, { store, access, onDownload })));
  assertEquals(rangesOf(hub).length, 1);
  assertEquals(new Set(notices), new Set(["another process is downloading it: waiting"]));
});

Deno.test("download() has the right bytes after any row of troubles, or refuses", NET, async () => {
  const after = fc.nat({ max: SIZE });
  const trouble: fc.Arbitrary<Trouble> = fc.oneof(
    fc.record({ kind: fc.constant("cut" as const), after }),
    fc.record({ kind: fc.constant("changed" as const), after }),
    fc.record({ kind: fc.constant("whole" as const), after }),
    fc.record({ kind: fc.constant("short" as const), bytes: after }),
    fc.record({ kind: fc.constant("extra" as const), bytes: after }),
    fc.constant({ kind: "range" as const, text: "bytes 5-6/7" }),
    fc.constant({ kind: "status" as const, status: 502 }),
    fc.constant({ kind: "status" as const, status: 416 }),
    fc.constant({ kind: "wrong" as const }),
  );
  const property = fc.asyncProperty(fc.array(trouble, { maxLength: 12 }), async (troubles) => {
    try {
      const { bytes } = await downloaded(troubles);
      assertEquals(bytes, LARGE.read(0, SIZE));
    } catch (error) {
      assert(error instanceof AssetError, `${error}`); // too many troubles in a row
    }
  });
  await fc.assert(property, { seed: 20_251, numRuns: 60 });
});

Deno.test(
  "download() has the right bytes after any row of cuts, and never refuses",
  NET,
  async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: SIZE / 4 }), { maxLength: 40 });
    const property = fc.asyncProperty(cuts, async (cuts) => {
      const { bytes } = await downloaded(cuts.map((after) => ({ kind: "cut", after })));
      assertEquals(bytes, LARGE.read(0, SIZE));
    });
    await fc.assert(property, { seed: 20_252, numRuns: 25 });
  },
);
