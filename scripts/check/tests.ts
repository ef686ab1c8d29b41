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
/** Tests that mostly wait, for leases and for processes: those of everything run beside the others, to save their minutes. */
const WAITING = ["tests/server/cluster", "tests/scripts/prove"];
const ALLOWED = ["net=127.0.0.1", "read", "env", "sys", "ffi", "run", "write"];

/** The arguments of deno for these words, by process: options go to `deno test`, anything else is a place. */
export function testArguments(words: readonly string[]): readonly (readonly string[])[] {
  const allowed = ALLOWED.map((permission) => `--allow-${permission}`);
  const common = ["test", "--doc", "--trace-leaks", "--lock=deno.lock", ...allowed, ...words];
  if (words.some((word) => !word.startsWith("-"))) return [common];
  return [
    [...common, `--ignore=${WAITING.join(",")}`, ...PLACES],
    [...common, ...WAITING],
  ];
}

/** Runs all processes at once, and shows what those after the first say when it has ended. */
async function runTests(processes: readonly (readonly string[])[]): Promise<number> {
  const [first = [], ...others] = processes.map((args) => [...args]);
  const waiting = others.map((args) => new Deno.Command(Deno.execPath(), { args }).output());
  const shown = await new Deno.Command(Deno.execPath(), { args: first }).spawn().status;
  const codes = [shown.code];
  for (const { code, stdout, stderr } of await Promise.all(waiting)) {
    await new Blob([stdout, stderr]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
    codes.push(code);
  }
  return codes.find((code) => code !== 0) ?? 0;
}

if (import.meta.main) Deno.exit(await runTests(testArguments(Deno.args)));
