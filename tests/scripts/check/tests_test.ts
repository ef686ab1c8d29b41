import { assertEquals, assertMatch } from "@std/assert";
import { testRuns } from "../../../scripts/check/tests.ts";
import { listFiles, readIgnored } from "../../../scripts/check/working_tree.ts";

const ROOT = new URL("../../../", import.meta.url);
const SCRIPT = new URL("scripts/check/tests.ts", ROOT).pathname;
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
  const { code, said } = await runAll(files, { failing: "" });
  const run = [...said.matchAll(/^running 1 test from \.\/([^#\n]+)/gm)].map(([, path]) => path!);
  assertEquals(run.sort(), files.sort());
  const sums = [...said.matchAll(/^ok \| (\d+) passed \| 0 failed/gm)].map(([, sum]) =>
    Number(sum)
  );
  assertEquals([code, sums.length, sums[0]! + sums[1]!], [0, 2, files.length]);
});

Deno.test("a test that fails in either process fails them all, and is shown", async () => {
  const files = ["tests/plan/a_test.ts", "tests/server/b_test.ts", ...EVERYTHING.slice(1)]
    .concat(WAITING.map((folder) => `${folder}/c_test.ts`))
    .map((path) => /\.\w+$/.test(path) ? path : `${path}/README.md`);
  for (const failing of files.slice(0, 2)) {
    const { code, said } = await runAll(files, { failing });
    assertEquals(code, 1);
    assertMatch(said, /^FAILED \| \d+ passed \| 1 failed/m);
    assertMatch(said, /^error: Error: on purpose/m);
  }
});

/** Runs the script in a folder that has such files, each with one test. */
async function runAll(
  files: readonly string[],
  { failing }: { readonly failing: string },
): Promise<{ readonly code: number; readonly said: string }> {
  const clone = new URL(`file://${await Deno.makeTempDir()}/`);
  try {
    for (const path of files) {
      const body = path === failing ? 'throw new Error("on purpose");' : "";
      const test = `Deno.test("a", () => {${body}});`;
      await Deno.mkdir(new URL("./", new URL(path, clone)), { recursive: true });
      const text = path.endsWith(".md") ? "```ts\nconsole.log();\n```\n" : test;
      await Deno.writeTextFile(new URL(path, clone), text);
    }
    const args = ["run", "--no-config", "--allow-run", "--allow-read", SCRIPT, "--no-check"];
    const command = new Deno.Command(Deno.execPath(), { args, cwd: clone, env: { NO_COLOR: "1" } });
    const { code, stdout, stderr } = await command.output();
    return { code, said: [stdout, stderr].map((text) => new TextDecoder().decode(text)).join("") };
  } finally {
    await Deno.remove(clone, { recursive: true });
  }
}
