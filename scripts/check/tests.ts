/**
 * Runs the tests, all of them or those that are named (`deno task test`).
 *
 *     deno task test
 *     deno task test tests/plan tests/cli/options_test.ts --filter=parse
 *
 * All of them run in two processes at once, of which one has tests that mostly wait. What that one prints is shown
 * when the other has ended.
 */

/** Tests that mostly wait, for leases, for processes and for packages. */
const WAITING = ["tests/edge", "tests/package", "tests/scripts/prove", "tests/server"];
/**
 * Where all tests are: the code in documents and in comments too. `tests` comes first, for Deno 2.9 leaves out what
 * `--ignore` names below the first place only.
 */
const PLACES = [
  "tests",
  "mod.ts",
  "src",
  "examples",
  "plans",
  "scripts",
  "README.md",
  "CONTRIBUTING.md",
];
const ALLOWED = ["net=127.0.0.1", "read", "env", "sys", "ffi", "run", "write"];

/** The arguments of each process for these words: options go to `deno test`, anything else is a place. */
export function testRuns(words: readonly string[]): readonly (readonly string[])[] {
  const allowed = ALLOWED.map((permission) => `--allow-${permission}`);
  const common = ["test", "--doc", "--trace-leaks", "--lock=deno.lock", ...allowed, ...words];
  if (words.some((word) => !word.startsWith("-"))) return [common];
  return [[...common, `--ignore=${WAITING.join()}`, ...PLACES], [...common, ...WAITING]];
}

/** Runs Deno with each of these arguments at once: the first process prints as it goes, the others when it has ended. */
async function runAtOnce(runs: readonly (readonly string[])[]): Promise<number> {
  const [first, ...others] = runs.map((args) => [...args]);
  const kept = others.map((args) => new Deno.Command(Deno.execPath(), { args }).output());
  const shown = await new Deno.Command(Deno.execPath(), { args: first! }).spawn().status;
  const codes = [shown.code];
  for (const { code, stdout, stderr } of await Promise.all(kept)) {
    await new Blob([stdout, stderr]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
    codes.push(code);
  }
  return Math.max(...codes);
}

if (import.meta.main) Deno.exit(await runAtOnce(testRuns(Deno.args)));
