/** Files as HTTP sends them: compressed, in ranges, not again. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import type { App } from "../../src/server/app.ts";
import type { PageAsset, PageAssets } from "../../src/server/page_assets.ts";
import { post, toyApp } from "./toy_renderer.ts";

const TEXT = "The same again and again. ".repeat(5000);
const WHOLE = new TextEncoder().encode(TEXT);

Deno.test("what shrinks is sent in gzip to those who take it, with a tag and a length of its own", async () => {
  const app = await toyApp();
  const plain = await app.request("/page/style.css");
  const zipped = await get(app, "/page/style.css", { "accept-encoding": "br, gzip;q=0.8" });
  assertEquals(plain.headers.get("content-encoding"), null);
  assertEquals(zipped.headers.get("content-encoding"), "gzip");
  for (const { headers } of [plain, zipped]) {
    assertEquals(headers.get("vary"), "Accept-Encoding");
    assertEquals(headers.get("x-file-size"), plain.headers.get("x-file-size"));
  }
  assertNotEquals(zipped.headers.get("etag"), plain.headers.get("etag"));
  const [whole, less] = [await plain.bytes(), await zipped.bytes()];
  assert(less.length < whole.length / 2, `${less.length} of ${whole.length}`);
  assertEquals(zipped.headers.get("content-length"), `${less.length}`);
  assertEquals(await unzip(less), whole);
  const init = { method: "HEAD", headers: { "accept-encoding": "gzip" } };
  const head = await app.request("/page/style.css", init);
  assertEquals([head.headers.get("content-length"), await head.text()], [`${less.length}`, ""]);
  for (const response of [plain, zipped]) {
    const known = { "if-none-match": response.headers.get("etag")! };
    for (const accepted of ["gzip", "identity"]) {
      const again = await get(app, "/page/style.css", { ...known, "accept-encoding": accepted });
      assertEquals([again.status, again.headers.get("vary")], [304, "Accept-Encoding"]);
    }
  }
});

Deno.test("gzip is not sent to those who do not take it", async () => {
  const app = await toyApp();
  for (
    const [accepted, encoding] of [
      ["", null],
      ["br", null],
      ["gzip;q=0", null],
      ["*;q=0, identity", null],
      ["gzip;q=0, *", null],
      ["GZIP", "gzip"],
      ["*", "gzip"],
      ["identity, gzip ; q=0.001", "gzip"],
      ["gzip;q=many", null],
      [";;,,=", null],
    ] as const
  ) {
    const response = await get(app, "/", { "accept-encoding": accepted });
    await response.body?.cancel();
    assertEquals(response.headers.get("content-encoding"), encoding, accepted);
  }
});

Deno.test("a file is compressed once for each of its versions, and pictures and small ones never", async () => {
  const files = new Files();
  const app = await toyApp(undefined, { page: files });
  const ask = async (name: string): Promise<string | null> => {
    const response = await get(app, `/page/${name}`, { "accept-encoding": "gzip" });
    const bytes = await response.bytes();
    const encoding = response.headers.get("content-encoding");
    assertEquals(encoding === "gzip" ? await unzip(bytes) : bytes, files.bytes(name));
    return encoding;
  };
  const three = [1, 2, 3].map(() => ask("a.wasm"));
  assertEquals(await Promise.all(three), ["gzip", "gzip", "gzip"]);
  assertEquals(files.reads, 1);
  files.version++;
  assertEquals([await ask("a.wasm"), await ask("a.wasm"), files.reads], ["gzip", "gzip", 2]);
  assertEquals([await ask("a.safetensors"), await ask("small.js")], [null, null]);
  files.fails = true;
  files.version++;
  const response = await get(app, "/page/a.wasm", { "accept-encoding": "gzip" });
  assertEquals([response.status, await response.text().then(JSON.parse)], [500, {
    error: {
      message: "The server failed; see its log",
      type: "server_error",
      param: null,
      code: "internal_error",
    },
  }]);
  files.fails = false;
  assertEquals(await ask("a.wasm"), "gzip"); // a failure is not kept
});

Deno.test("a range is sent of the file as it is, of the version that the client has", async () => {
  const app = await toyApp(undefined, { page: new Files() });
  const { headers } = await app.request("/page/a.wasm", { method: "HEAD" });
  assertEquals(headers.get("accept-ranges"), "bytes");
  const etag = headers.get("etag")!;
  const size = WHOLE.length;
  for (
    const [range, given, from, to] of [
      ["bytes=0-9", {}, 0, 10],
      ["bytes=100-", {}, 100, size],
      ["bytes=-7", {}, size - 7, size],
      ["bytes=-99999999", {}, 0, size],
      [`bytes=${size - 1}-99999999`, { "accept-encoding": "gzip" }, size - 1, size],
      ["bytes=5-5", { "if-range": etag }, 5, 6],
    ] as const
  ) {
    const response = await get(app, "/page/a.wasm", { range, ...given });
    const { headers } = response;
    assertEquals([response.status, headers.get("content-range")], [
      206,
      `bytes ${from}-${to - 1}/${size}`,
    ], range);
    assertEquals([headers.get("content-encoding"), headers.get("content-length")], [
      null,
      `${to - from}`,
    ]);
    assertEquals(await response.bytes(), WHOLE.slice(from, to), range);
  }
  const whole = await app.request("/page/a.wasm");
  assertEquals(whole.headers.get("content-length"), `${size}`);
  assertEquals(await whole.bytes(), WHOLE);
});

Deno.test("what is no range, or of another version, gets the whole file; beyond the end is 416", async () => {
  const app = await toyApp(undefined, { page: new Files() });
  for (
    const given of [
      { range: "bytes=0-1,4-5" },
      { range: "bytes=9-2" },
      { range: "bytes=-" },
      { range: "bytes=a-b" },
      { range: "items=0-1" },
      { range: "bytes=0-1", "if-range": '"other"' },
      { range: "bytes=0-1", "if-range": "Sat, 28 Nov 2026 00:00:00 GMT" },
    ]
  ) {
    const response = await get(app, "/page/a.wasm", given);
    assertEquals([response.status, await response.bytes()], [200, WHOLE], given.range);
  }
  for (const range of [`bytes=${WHOLE.length}-`, "bytes=-0"]) {
    const response = await get(app, "/page/a.wasm", { range });
    await response.body?.cancel();
    const { headers } = response;
    assertEquals([response.status, headers.get("content-range")], [416, `bytes */${WHOLE.length}`]);
  }
});

Deno.test("ranges that follow each other give the file, wherever they are cut", async () => {
  const app = await toyApp();
  const whole = await (await app.request("/page/icon.svg")).bytes();
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(cuts, async (inside) => {
      const edges = [0, ...inside.toSorted((a, b) => a - b), whole.length];
      const parts = await Promise.all(
        edges.slice(1).map(async (to, i) => {
          const range = `bytes=${edges[i]}-${to - 1}`;
          return [...await (await get(app, "/page/icon.svg", { range })).bytes()];
        }),
      );
      assertEquals(parts.flat(), [...whole]);
    }),
    { numRuns: 20 },
  );
});

Deno.test("pictures behind URLs may be shown and read by any page, in ranges, and not again", async () => {
  const app = await toyApp();
  const body = { label: 0, response_format: "url" };
  const { data: [{ url }] } = await (await post(app, "/v1/images/generations", body)).json();
  const { id } = await (await post(app, "/v1/jobs", { label: 0 })).json();
  await (await app.request(`/v1/jobs/${id}/events`)).text(); // until it has ended
  for (const path of [url, `/v1/jobs/${id}/image`]) {
    const response = await app.request(path);
    const { headers } = response;
    const names = ["cross-origin-resource-policy", "access-control-allow-origin", "content-type"];
    assertEquals(names.map((name) => headers.get(name)), ["cross-origin", "*", "image/png"]);
    assert(headers.get("content-security-policy")?.startsWith("default-src 'none'"));
    const whole = await response.bytes();
    const range = await get(app, path, { range: "bytes=1-3" });
    assertEquals([range.status, await range.text()], [206, "PNG"]);
    const again = await get(app, path, { "if-none-match": headers.get("etag")! });
    assertEquals([again.status, whole.length > 50], [304, true]);
  }
  const models = await app.request("/v1/models"); // nobody else's business
  assertEquals(models.headers.get("cross-origin-resource-policy"), "same-origin");
  await models.body?.cancel();
});

async function get(app: App, path: string, headers: Record<string, string>): Promise<Response> {
  return await app.request(path, { headers });
}

async function unzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).bytes();
}

/** Files that count how often they are read, and can be exchanged. */
class Files implements PageAssets {
  readonly models = [];
  reads = 0;
  version = 1;
  fails = false;

  bytes(name: string): Uint8Array<ArrayBuffer> {
    return name.startsWith("small") ? WHOLE.slice(0, 10) : WHOLE;
  }

  read(name: string): Promise<PageAsset | undefined> {
    const types: Readonly<Record<string, string>> = {
      wasm: "application/wasm",
      js: "text/javascript; charset=utf-8",
      safetensors: "application/octet-stream",
    };
    const type = types[name.split(".").at(-1)!];
    if (type === undefined) return Promise.resolve(undefined);
    const bytes = this.bytes(name);
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller): void => {
        this.reads++;
        if (this.fails) return controller.error(new Error("the disk is gone"));
        controller.enqueue(bytes);
        controller.close();
      },
    }, { highWaterMark: 0 });
    const slice = (from: number, to: number): PageAsset["body"] => bytes.slice(from, to);
    return Promise.resolve({ body, size: bytes.length, type, etag: `"v${this.version}"`, slice });
  }
}
