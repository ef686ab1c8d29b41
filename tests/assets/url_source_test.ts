import { assert, assertEquals, assertRejects } from "@std/assert";
import { BLOCK_BYTES } from "../../src/assets/source.ts";
import { openUrl } from "../../src/assets/url_source.ts";
import { AssetError } from "../../src/errors.ts";

const BYTES = Uint8Array.from({ length: 3 * BLOCK_BYTES / 2 }, (_, i) => i % 251);
const WHOLE = { offset: 0, length: BYTES.length };
const net = await Deno.permissions.query({ name: "net", host: "127.0.0.1" });

const ignore = (): void => {};

type Handler = (request: Request, range: readonly [number, number]) => Response;

/** Runs against a server on the loopback; without permission for it the test is named as ignored. */
function test(name: string, handler: Handler, run: (base: URL) => Promise<void>): void {
  Deno.test({
    name: `openUrl() ${name}` + (net.state === "granted" ? "" : " (needs --allow-net=127.0.0.1)"),
    ignore: net.state !== "granted",
    fn: async () => {
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen: ignore },
        (request): Response => {
          const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ??
            [];
          return handler(request, [Number(first), Number(last)]);
        },
      );
      try {
        await run(new URL(`http://127.0.0.1:${server.addr.port}/models/a?key=1`));
      } finally {
        await server.shutdown();
      }
    },
  });
}

/** A range of `BYTES`, or of fewer of them, as an honest server answers. */
function ranged([first, last]: readonly [number, number], size = BYTES.length): Response {
  const end = Math.min(last + 1, size);
  return new Response(BYTES.slice(first, end), {
    status: 206,
    headers: { "content-range": `bytes ${first}-${end - 1}/${size}` },
  });
}

const asked: string[] = [];

test("reads by ranges: the head once, then what is asked for", (request, range) => {
  const { pathname, search } = new URL(request.url);
  asked.push(`${pathname}${search} ${range.join("-")}`);
  return ranged(range);
}, async (base) => {
  asked.length = 0;
  const source = openUrl(base);
  assertEquals(await source.size("x y.bin"), BYTES.length);
  assertEquals((await source.read("x y.bin", { offset: 5, length: 9 }))[0], 5);
  assertEquals(await source.read("x y.bin", WHOLE), BYTES);
  assertEquals(asked, [
    "/models/a/x%20y.bin?key=1 0-65535",
    `/models/a/x%20y.bin?key=1 0-${BYTES.length - 1}`,
  ]);
  assertEquals(await source.list(), undefined);
  await source.close();
});

test(
  "streams blocks of 1 MiB and a shorter last one",
  (_, range) => ranged(range),
  async (base) => {
    const sizes: number[] = [];
    for await (const block of openUrl(base).stream("a", WHOLE)) sizes.push(block.length);
    assertEquals(sizes, [BLOCK_BYTES, BLOCK_BYTES / 2]);
  },
);

test("closes a response that is not read to its end", (_, range) => ranged(range), async (base) => {
  for await (const block of openUrl(base).stream("a", WHOLE)) {
    assertEquals(block.length, BLOCK_BYTES);
    break;
  }
});

test("stops with the reason of its signal", (_, range) => ranged(range), async (base) => {
  const abort = new AbortController();
  const read = async (): Promise<void> => {
    for await (const _ of openUrl(base).stream("a", WHOLE, abort.signal)) {
      abort.abort(new RangeError("enough"));
    }
  };
  await assertRejects(read, RangeError, "enough");
});

test("says that a file is absent", () => new Response("no", { status: 404 }), async (base) => {
  const source = openUrl(base);
  assertEquals(await source.size("a"), undefined);
  await assertRejects(() => source.read("a", WHOLE), AssetError, "it must exist");
});

test(
  "reads an empty file",
  () => new Response(null, { status: 416, headers: { "content-range": "bytes */0" } }),
  async (base) => {
    const source = openUrl(base);
    assertEquals(await source.size("a"), 0);
    assertEquals((await source.read("a", { offset: 0, length: 0 })).length, 0);
  },
);

test("keeps a small file whole when the server ignores ranges", (request) => {
  asked.push(request.url);
  return new Response(BYTES);
}, async (base) => {
  asked.length = 0;
  const source = openUrl(base);
  assertEquals(await source.size("a"), BYTES.length);
  assertEquals(await source.read("a", { offset: 7, length: 3 }), BYTES.subarray(7, 10));
  assertEquals(await source.read("a", WHOLE), BYTES);
  assertEquals(asked.length, 1);
});

test("refuses a large file when the server ignores ranges", () => {
  const endless = new ReadableStream({ pull: (to): void => to.enqueue(new Uint8Array(1 << 20)) });
  return new Response(endless);
}, async (base) => {
  await assertRejects(() => openUrl(base).size("a"), AssetError, "must honour range requests");
});

test(
  "refuses a server that ignores a range after it honoured one",
  (_, range) => range[1] === 65_535 ? ranged(range) : new Response(BYTES),
  async (base) => {
    const error = await assertRejects(() => openUrl(base).read("a", WHOLE), AssetError);
    assert(error.message.endsWith(
      "the server must answer 206 with a content-range: " +
        'current value is 200, ""',
    ));
  },
);

test(
  "refuses an answer without a content-range",
  (_, [first, last]) => new Response(BYTES.slice(first, last + 1), { status: 206 }),
  async (base) => {
    await assertRejects(() => openUrl(base).size("a"), AssetError, "content-range");
  },
);

for (const wrong of ["bytes 1-65536/1572864", "bytes 0-9/1572864", "bytes 0-9/5", "items 0-1/2"]) {
  test(
    `refuses the content-range "${wrong}"`,
    (_, [first, last]) =>
      new Response(BYTES.slice(first, last + 1), {
        status: 206,
        headers: { "content-range": wrong },
      }),
    async (base) => {
      await assertRejects(() => openUrl(base).size("a"), AssetError, wrong);
    },
  );
}

test(
  "refuses a file that changes its size between two answers",
  (_, range) => range[1] === 65_535 ? ranged(range) : ranged(range, BYTES.length - 1),
  async (base) => {
    const last = { offset: BYTES.length - 9, length: 9 };
    await assertRejects(() => openUrl(base).read("a", last), AssetError, "must answer with bytes");
  },
);

for (const [kind, change] of [["shorter", -1], ["longer", 1]] as const) {
  test(
    `refuses a body that is ${kind} than its content-range`,
    (_, [first, last]) =>
      new Response(new Uint8Array(last + 1 - first + change), {
        status: 206,
        headers: { "content-range": `bytes ${first}-${last}/${BYTES.length}` },
      }),
    async (base) => {
      await assertRejects(
        () => openUrl(base).size("a"),
        AssetError,
        "the answer must have 65536 bytes",
      );
    },
  );
}

test("names the status of a server in trouble, and asks again", (request) => {
  asked.push(request.url);
  return new Response("busy", { status: 503 });
}, async (base) => {
  asked.length = 0;
  const source = openUrl(base);
  await assertRejects(() => source.size("a"), AssetError, "current value is 503");
  await assertRejects(() => source.size("a"), AssetError, "current value is 503");
  assertEquals(asked.length, 2);
});

Deno.test({
  name: "openUrl() says that nobody answers" +
    (net.state === "granted" ? "" : " (needs --allow-net=127.0.0.1)"),
  ignore: net.state !== "granted",
  fn: async () => {
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: ignore },
      () => new Response(),
    );
    const { port } = server.addr;
    await server.shutdown();
    const source = openUrl(`http://127.0.0.1:${port}`);
    await assertRejects(() => source.size("a"), AssetError, "the server must answer");
  },
});

Deno.test({
  name: "openUrl() says which permission is missing",
  permissions: { net: false },
  fn: async () => {
    await assertRejects(
      () => openUrl("https://models.example/a").size("b"),
      AssetError,
      "permission to use the network (Deno: --allow-net=models.example)",
    );
  },
});
