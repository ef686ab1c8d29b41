import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../src/cli/commands.ts";
import { VERSION } from "../../src/version.ts";
import { capturedRun } from "./captured_run.ts";

Deno.test("--help lists every command with one line each, and no options", async () => {
  const help = await capturedRun("--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const { table: { name, summary } } of COMMANDS) {
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
  assertEquals(
    stderr,
    'error: Cannot run genrate: there is no such command; the nearest is generate ("invardiff --help" lists them)\n',
  );
});
