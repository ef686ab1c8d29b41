import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../src/cli/commands.ts";
import { parseOptions } from "../../src/cli/options.ts";
import { VERSION } from "../../src/version.ts";
import { listFiles, readIgnored } from "../../scripts/check/working_tree.ts";
import { ROOT } from "../_shim/watched.ts";
import { capturedRun } from "./captured_run.ts";

Deno.test("--help lists every command with one line each, and no options", async () => {
  const help = await capturedRun("--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const { name, load } of COMMANDS) {
    const { table: { name: called, summary } } = await load();
    assertEquals(called, name);
    assertMatch(help.stdout, new RegExp(`^  ${name} +${summary.slice(0, 20)}`, "m"));
  }
  assert(!help.stdout.includes("--out"));
  for (const words of [[], ["help"], ["-h"]]) assertEquals(await capturedRun(...words), help);
});

Deno.test("--help of a command lists its own options only", async () => {
  const { code, stdout } = await capturedRun("generate", "--help");
  assertEquals(code, 0);
  assertStringIncludes(stdout, "usage: invardiff generate [options]");
  assertStringIncludes(stdout, "--label NAME|INDEX,…");
  for (const foreign of ["--port", "--quantile", "--dry-run"]) assert(!stdout.includes(foreign));
  assertEquals((await capturedRun("help", "generate")).stdout, stdout);
  assertStringIncludes((await capturedRun("plan", "show", "-h")).stdout, "--svg FILE.svg");
  const plans = (await capturedRun("plan", "--help")).stdout;
  assertStringIncludes(plans, "plan export");
  assert(!plans.includes("calibrate"));
});

Deno.test("--version tells the version", async () => {
  assertEquals(await capturedRun("--version"), { code: 0, stdout: `${VERSION}\n`, stderr: "" });
});

Deno.test("an unknown command is answered with the nearest, in one line", async () => {
  const { code, stdout, stderr } = await capturedRun("genrate", "--label", "Bag");
  assertEquals([code, stdout], [2, ""]);
  assertMatch(
    stderr,
    /^error: Cannot run invardiff: the command must be one of 13 names such as generate, .*\n$/,
  );
  assertStringIncludes(stderr, "(--help lists them): current value is genrate\n");
});

/** Command lines that the README has shown at one time or another. */
const SHOWN = [
  "calibrate --model flux-dir --conditions given.safetensors --mode reference --warmup .1 " +
  "--quantile step=.61,dual_attn=.2 --out plan.json",
  "compare --plan fashion-dit.ddim50.fast --count 10 --seed 100000 --out sheet.png",
  "compare --plan NAME --count 16 --seed 100000 --backend native",
  "doctor --model DIR --count 10 --plan NAME --weights int8",
  "doctor",
  "fetch hf://OWNER/NAME",
  "generate --from file.png",
  "generate --model flux-dir --conditions given.safetensors --latents out.safetensors",
  "generate --model xl --label 207 --count 1 --backend wasm --weights int8",
  "generate --model xl.safetensors --label 207 --steps 3 --latents xl.safetensors --backend wasm",
  "generate --plan none --sampler original",
  "pack --weights int8 --out DIR",
  "plan import cache_books.json --sampler flow-euler --steps 28 --grid 64x64 --model DIR --out p",
  "plan show NAME --svg FILE.svg --model DIR",
  "serve --host 0.0.0.0 --rate 60 --workers 2 --api-key-file FILE",
  "serve --model flux-dir --conditions prompts.safetensors",
];

Deno.test("every command line that a document shows, or the README ever showed, is understood", async () => {
  const shown = await shownNow();
  assert(shown.length > 20, `${shown.length}`);
  for (const line of [...SHOWN, ...shown]) {
    const found = COMMANDS.find(({ name }) => `${line} `.startsWith(`${name} `));
    if (found === undefined) continue; // a task of another kind, whose name the gate checks
    const { table } = await found.load();
    const rest = line.slice(found.name.length);
    const words = [...rest.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word);
    if (!words.includes("--help")) parseOptions(table, words);
  }
});

/** What follows `deno task` in blocks of commands and in code font, up to a comment or another command. */
async function shownNow(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { path } of await listFiles(ROOT, await readIgnored(ROOT))) {
    if (!path.endsWith(".md")) continue;
    const text = await Deno.readTextFile(new URL(path, ROOT));
    const lines = text.replaceAll(/\\\n\s*/g, " "); // continued ones
    for (const [, line] of lines.matchAll(/deno(?:@[\d.]+)? task ([^`#&\n]+)/g)) {
      found.push(line!.trim());
    }
  }
  return found;
}
