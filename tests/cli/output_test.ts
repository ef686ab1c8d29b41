import { assertEquals } from "@std/assert";
import process from "node:process";
import { announce, counted, progressOutput, tell, warn } from "../../src/cli/output.ts";

const RESULT = {
  report: { seconds: 2 },
  text: "2 s\n",
  files: [{ path: "a.png", what: "1 picture" }],
};

/** What `say` writes to stdout and to stderr. */
function written(say: () => void): readonly [string, string] {
  const originals = [process.stdout.write, process.stderr.write] as const;
  const texts = ["", ""] as [string, string];
  process.stdout.write = (text: string | Uint8Array): boolean => (texts[0] += text) !== "";
  process.stderr.write = (text: string | Uint8Array): boolean => (texts[1] += text) !== "";
  try {
    say();
    return texts;
  } finally {
    [process.stdout.write, process.stderr.write] = originals;
  }
}

function sayAll(output: { readonly json: boolean; readonly quiet: boolean }): () => void {
  return () => {
    announce(["begun"], output);
    progressOutput(output).write("half\n");
    warn(["other guidance"], output);
    tell(RESULT, output);
  };
}

Deno.test("a command says its result and its files on stdout, the rest on stderr", () => {
  assertEquals(written(sayAll({ json: false, quiet: false })), [
    "2 s\nwrote a.png (1 picture)\n",
    "begun\nhalf\nnote: other guidance\n",
  ]);
});

Deno.test("--quiet leaves only warnings", () => {
  assertEquals(written(sayAll({ json: false, quiet: true })), ["", "note: other guidance\n"]);
});

Deno.test("--json makes the result one object with its files, and leaves progress", () => {
  const line = '{"seconds":2,"files":["a.png"]}\n';
  assertEquals(written(sayAll({ json: true, quiet: false })), [line, "half\n"]);
  assertEquals(written(sayAll({ json: true, quiet: true })), [line, ""]);
});

Deno.test("counted() says one picture and two pictures", () => {
  assertEquals([0, 1, 2].map((n) => counted(n, "picture")), [
    "0 pictures",
    "1 picture",
    "2 pictures",
  ]);
});
