import { assert, assertEquals } from "@std/assert";
import { formatSizes, listPublished, MAX_MB, totalSize } from "../../../scripts/check/size.ts";

async function withFiles(
  files: Readonly<Record<string, string>>,
  check: (root: URL) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const root = new URL(`file://${folder}/`);
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(new URL("./", new URL(path, root)), { recursive: true });
      await Deno.writeTextFile(new URL(path, root), text);
    }
    await check(root);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("listPublished() leaves out what .gitignore and publish.exclude name", async () => {
  const files = {
    ".git/HEAD": "",
    ".gitignore": "# built\ndist/\n*.tmp\n/out*.png\n",
    "deno.json": '{ "publish": { "exclude": ["tests", "./scripts/", "src/**/*.md"] } } // comment',
    "mod.ts": "12345",
    "node_modules/a/b.js": "",
    "out1.png": "",
    "dist/a.js": "",
    "src/dist/a.js": "",
    "src/a/out1.png": "",
    "src/a/b.md": "",
    "src/a/b.tmp": "",
    "src/tests_of_time.ts": "",
    "src/tests/a.ts": "",
    "tests/a.ts": "",
    "scripts/a.ts": "",
  };
  await withFiles(files, async (root) => {
    const published = await listPublished(root);
    assertEquals(
      published.map(({ path }) => path),
      ["deno.json", "mod.ts", "src/a/out1.png", "src/tests/a.ts", "src/tests_of_time.ts"],
    );
    assertEquals(published[1], { path: "mod.ts", size: 5 });
  });
});

Deno.test("listPublished() takes only what publish.include names, when it is given", async () => {
  const files = {
    "deno.json": '{ "publish": { "include": ["src", "mod.ts"], "exclude": ["src/b.ts"] } }',
    "mod.ts": "",
    "src/a.ts": "",
    "src/b.ts": "",
    "README.md": "",
  };
  await withFiles(files, async (root) => {
    const published = await listPublished(root);
    assertEquals(published.map(({ path }) => path), ["mod.ts", "src/a.ts"]);
  });
});

Deno.test("formatSizes() shows the largest files and the sum", () => {
  const files = Array.from({ length: 12 }, (_, i) => ({ path: `f${i}`, size: i * 1e6 }));
  const lines = formatSizes(files).split("\n");
  assertEquals(lines.length, 11);
  assertEquals(lines[0], "  11.000 MB  f11");
  assertEquals(lines.at(-1), "  66.000 MB  12 files, limit 20 MB");
});

Deno.test("what is published is below the limit, with the embedded model and without what only the repository needs", async () => {
  const published = await listPublished(new URL("../../../", import.meta.url));
  assert(totalSize(published) <= MAX_MB * 1e6, formatSizes(published));
  const paths = new Set(published.map(({ path }) => path));
  assert(paths.has("models/peeps-flux/tokenizer/tokenizer.json") && paths.has("README.md"));
  assert(!paths.has("deno.lock") && !paths.has(".ci/run"));
});
