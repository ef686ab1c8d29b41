/**
 * Runs the tests, all of them or those that are named (`deno task test`).
 *
 *     deno task test
 *     deno task test tests/plan tests/cli/options_test.ts --filter=parse
 */

/** Where tests are: the code in documents and in comments too. */
const PLACES = [
  "mod.ts",
  "src",
  "examples",
  "plans",
  "scripts",
  "tests",
  "README.md",
  "CONTRIBUTING.md",
];
const ALLOWED = ["net=127.0.0.1", "read", "env", "sys", "ffi", "run", "write"];

/** The arguments of deno for these words: options go to `deno test`, anything else is a place. */
export function testArguments(words: readonly string[]): readonly string[] {
  const named = words.some((word) => !word.startsWith("-"));
  const allowed = ALLOWED.map((permission) => `--allow-${permission}`);
  return [
    "test",
    "--doc",
    "--trace-leaks",
    "--lock=deno.lock",
    ...allowed,
    ...words,
    ...(named ? [] : PLACES),
  ];
}

if (import.meta.main) {
  const args = [...testArguments(Deno.args)];
  const { code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  Deno.exit(code);
}
