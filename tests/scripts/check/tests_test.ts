import { assert, assertEquals } from "@std/assert";
import { testRuns } from "../../../scripts/check/tests.ts";
import { listFiles, readIgnored } from "../../../scripts/check/working_tree.ts";

const ROOT = new URL("../../../", import.meta.url);
const EVERYTHING = "tests mod.ts src examples plans scripts README.md CONTRIBUTING.md".split(" ");
const WAITING = ["tests/edge", "tests/package", "tests/scripts/prove", "tests/server"];

Deno.test("deno task test runs everything in two processes, or in one the places that are named", () => {
  const places = (...words: string[]): readonly (readonly string[])[] =>
    testRuns(words).map((args) => args.filter((word) => !word.startsWith("-")).slice(1));
  assertEquals(places(), [EVERYTHING, WAITING]); // the code in documents too
  assertEquals(places("tests/plan", "README.md"), [["tests/plan", "README.md"]]);
  assertEquals(places("--filter=parse"), [EVERYTHING, WAITING]);
  const [named = [], ...others] = testRuns(["tests/plan", "--fail-fast"]);
  assertEquals([named.slice(-2), others], [["tests/plan", "--fail-fast"], []]);
});

Deno.test("each folder of tests and each document is run by one of the two processes, once", async () => {
  const folders = new Map<string, string>(); // one file of each: what is left out is a folder
  for (const { path } of await listFiles(ROOT, await readIgnored(ROOT))) {
    if (!EVERYTHING.includes(path.split("/")[0]!)) continue;
    if (/_test\.ts$|\.md$/.test(path)) folders.set(path.replace(/\w+_test\.ts$/, ""), path);
  }
  const files = ["mod.ts", ...folders.values()];
  const clone = new URL(`file://${await Deno.makeTempDir()}/`);
  try {
    for (const path of files) {
      const text = path.endsWith(".md")
        ? "```ts\nconsole.log();\n```\n"
        : 'Deno.test("a", () => {});';
      await Deno.mkdir(new URL("./", new URL(path, clone)), { recursive: true });
      await Deno.writeTextFile(new URL(path, clone), text);
    }
    const runs = testRuns(["--no-check"]);
    const [most = [], waiting = []] = await Promise.all(runs.map((args) => filesRun(args, clone)));
    assertEquals([...most, ...waiting].sort(), files.sort());
    assert(most.length > waiting.length && waiting.length > 0);
  } finally {
    await Deno.remove(clone, { recursive: true });
  }
});

/** The files that Deno with these arguments says it runs, in a folder. */
async function filesRun(args: readonly string[], cwd: URL): Promise<readonly string[]> {
  const env = { NO_COLOR: "1" };
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env,
  })
    .output();
  const [said, why] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert(success, `${said}${why}`);
  return [...said!.matchAll(/^running 1 test from \.\/([^#\n]+)/gm)].map(([, path]) => path!);
}
