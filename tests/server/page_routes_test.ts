import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { directoryAssets } from "../../src/server/page_assets.ts";
import { toyApp } from "./toy_renderer.ts";

/** A model's description of itself. */
const TOY = JSON.stringify({
  format: 1,
  id: "toy",
  architecture: "flux",
  config: {},
  classNames: [],
  sampler: {},
  licence: "none",
  dataNotice: "none",
  sha256: {},
});
const LISTED = JSON.stringify([
  "model.json",
  "weights.safetensors",
  "vae/config.json",
  "vae/diffusion_pytorch_model.safetensors",
  "tokenizer/merges.txt",
]);

Deno.test("the page comes without a build, isolated and with nothing inline allowed", async () => {
  const app = await toyApp();
  const types = {
    "/": "text/html; charset=utf-8",
    "/page/main.js": "text/javascript; charset=utf-8",
    "/page/style.css": "text/css; charset=utf-8",
    "/page/icon.svg": "image/svg+xml",
  };
  for (const [path, type] of Object.entries(types)) {
    const response = await app.request(path);
    assertEquals([response.status, response.headers.get("content-type")], [200, type], path);
    const { headers } = response;
    assertEquals(headers.get("cross-origin-opener-policy"), "same-origin");
    assertEquals(headers.get("cross-origin-embedder-policy"), "require-corp");
    const policy = headers.get("content-security-policy") ?? "";
    assert(policy.startsWith("default-src 'none'") && !policy.includes("unsafe-inline"));
    assert((await response.text()).length > 100);
  }
  assertEquals((await app.request("/page/engine.js")).status, 404);
});

Deno.test("only pages of the origins that are named may show the page in a frame", async () => {
  for (
    const [frameOrigins, ancestors, frames, policy] of [
      [[], "frame-ancestors 'none'", "SAMEORIGIN", "same-origin"],
      [
        ["https://a.example", "https://*.b.example:8443"],
        "frame-ancestors https://a.example https://*.b.example:8443",
        null,
        "cross-origin",
      ],
    ] as const
  ) {
    const { headers } = await (await toyApp(undefined, { frameOrigins })).request("/", {
      method: "HEAD",
    });
    assert(headers.get("content-security-policy")?.endsWith(`; ${ancestors}`));
    assertEquals(headers.get("x-frame-options"), frames);
    assertEquals(headers.get("cross-origin-resource-policy"), policy);
  }
  const nonsense = [
    "*",
    "a.example",
    "https://a.example/x",
    "https://a;script-src *",
    "https://a b",
  ];
  for (const origin of [...nonsense, "https://a.example;x", "https://a,b", "'self'", ""]) {
    await assertRejects(
      () => toyApp(undefined, { frameOrigins: [origin] }),
      TypeError,
      "an origin",
    );
  }
});

Deno.test("the page needs no key, the API behind it does", async () => {
  const app = await toyApp(undefined, { apiKeys: ["secret"] });
  const statuses = await Promise.all(
    ["/", "/page/main.js", "/page/style.css", "/v1/models"].map(async (path) => {
      const response = await app.request(path);
      await response.body?.cancel();
      return response.status;
    }),
  );
  assertEquals(statuses, [200, 200, 200, 401]);
});

Deno.test("what the client has is not sent again", async () => {
  const app = await toyApp();
  const etag = (await app.request("/page/style.css")).headers.get("etag")!;
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
    const response = await app.request("/page/style.css", { headers: { "if-none-match": known } });
    assertEquals([response.status, await response.text()], [304, ""]);
  }
  const other = await app.request("/page/style.css", { headers: { "if-none-match": '"other"' } });
  assertEquals(other.status, 200);
  await other.body?.cancel();
});

Deno.test("a build's files are sent with type and size, those with a version in their names for good", async () => {
  await withFolder(async (folder, models) => {
    const app = await toyApp(undefined, { page: directoryAssets(folder, models) });
    assert((await (await app.request("/")).text()).includes('content="toy"'));
    const expected = {
      "/page/engine.js": ["text/javascript; charset=utf-8", "no-cache", "11"],
      "/page/part-ABCDEF12.js": [
        "text/javascript; charset=utf-8",
        "public, max-age=31536000, immutable",
        "4",
      ],
      "/page/ort-1.2.3/a.wasm": [
        "application/wasm",
        "public, max-age=31536000, immutable",
        "3000000",
      ],
      "/page/models/toy/files.json": ["application/json", "no-cache", `${LISTED.length}`],
      "/page/models/toy/model.json": ["application/json", "no-cache", `${TOY.length}`],
      "/page/models/toy/vae/config.json": ["application/json", "no-cache", "2"],
      "/page/models/toy/tokenizer/merges.txt": ["application/octet-stream", "no-cache", "6"],
    };
    for (const [path, wanted] of Object.entries(expected)) {
      const response = await app.request(path);
      const headers = ["content-type", "cache-control", "x-file-size"].map((name) =>
        response.headers.get(name)
      );
      assertEquals(headers, wanted, path);
      assertEquals((await response.bytes()).length, Number(wanted[2]), path);
    }
    const main = await app.request("/page/main.js"); // the package's own: the build has none
    assertEquals(main.status, 200);
    await main.body?.cancel();
  });
});

Deno.test("the list of a model's files has another etag when a name changes, however long it is", async () => {
  await withFolder(async (folder, models) => {
    const assets = directoryAssets(folder, models);
    const before = await assets.read("models/toy/files.json");
    const again = await assets.read("models/toy/files.json");
    assertEquals([again!.body, again!.etag], [before!.body, before!.etag]);
    const tokenizer = `${models["toy"]}/tokenizer`;
    await Deno.remove(`${tokenizer}/merges.txt`);
    await Deno.writeTextFile(`${tokenizer}/vocab.json`, "{}");
    const after = await assets.read("models/toy/files.json");
    assertEquals(after!.size, before!.size);
    assertNotEquals(after!.etag, before!.etag);
  });
});

Deno.test("a large file is opened by its reader alone and closed when he leaves", async () => {
  await withFolder(async (folder, models) => {
    const app = await toyApp(undefined, { page: directoryAssets(folder, models) });
    const head = await app.request("/page/ort-1.2.3/a.wasm", { method: "HEAD" });
    assertEquals([head.status, head.headers.get("x-file-size")], [200, "3000000"]);
    const { body } = await app.request("/page/ort-1.2.3/a.wasm");
    const reader = body!.getReader(); // it was sent
    await reader.read();
    await reader.cancel(); // leak tracing sees a file that was left open
  });
});

Deno.test("no name leaves the folder, names a hidden file, a folder, or a type that is not a page's", async () => {
  await withFolder(async (folder, models) => {
    const assets = directoryAssets(folder, models);
    const names = [
      "../secret.js",
      "ort-1.2.3/../../secret.js",
      "..",
      ".",
      "",
      "/etc/passwd.js",
      "a//b.js",
      ".hidden.js",
      "..%2fsecret.js",
      "..\\secret.js",
      "engine.js\0",
      "engine.js/x.js",
      "stamp.txt",
      "ort-1.2.3",
      "models/toy/../../../secret.js",
      "models/toy/notes.json",
      "models/toy/vae/notes.json",
      "models/toy/vae",
      "models/other/model.json",
      "models/toy",
      "models/constructor/model.json",
      "models/toy/model.json/x.js",
    ];
    for (const name of names) {
      assertEquals(await assets.read(name), undefined, JSON.stringify(name));
    }
    const app = await toyApp(undefined, { page: assets });
    for (
      const path of [
        "/page/..%2fsecret.js",
        "/page/%2e%2e/secret.js",
        "/page/models/toy/..%2f..%2fsecret.js",
      ]
    ) {
      const response = await app.request(path);
      await response.body?.cancel();
      assertEquals(response.status, 404, path);
    }
  });
});

async function withFolder(
  use: (folder: string, models: Readonly<Record<string, string>>) => Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    const folder = `${root}/page`;
    await Deno.mkdir(`${folder}/ort-1.2.3`, { recursive: true });
    for (const name of ["vae", "tokenizer"]) {
      await Deno.mkdir(`${root}/toy/${name}`, { recursive: true });
    }
    const files: Readonly<Record<string, string>> = {
      "secret.js": "secret",
      "page/.hidden.js": "hidden",
      "page/stamp.txt": "stamp",
      "page/engine.js": "export {};\n",
      "page/part-ABCDEF12.js": "part",
      "page/ort-1.2.3/a.wasm": "x".repeat(3_000_000),
      "toy/model.json": TOY,
      "toy/weights.safetensors": "weights",
      "toy/notes.json": "notes",
      "toy/vae/config.json": "{}",
      "toy/vae/diffusion_pytorch_model.safetensors": "decoder",
      "toy/vae/notes.json": "notes",
      "toy/tokenizer/merges.txt": "merges",
    };
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${root}/${name}`, text);
    }
    await use(folder, { toy: `${root}/toy` });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}
