/**
 * The command line: `invardiff <command> [options]`.
 *
 * @module
 */

import process from "node:process";
import { silenceWayland } from "../backend/adapter.ts";
import { AssetError, BackendError, PlanError } from "../errors.ts";
import { oneOf } from "../nearest_names.ts";
import { VERSION } from "../version.ts";
import { type CommandEntry, COMMANDS } from "./commands.ts";
import { listOf, usageOf } from "./usage.ts";

const INTERRUPTED = 130; // as shells report a process that SIGINT ended

/** Exit code of each class of error; the first that fits. */
const EXIT_CODES: readonly (readonly [new (...args: never[]) => Error, number])[] = [
  [AssetError, 3],
  [BackendError, 4],
  [PlanError, 5],
  [RangeError, 2],
  [TypeError, 2],
];

if (import.meta.main) await main();

/** Runs the process's own command line and ends it. For the package's `bin`: Node before 24.2 has no `import.meta.main`. */
export async function main(): Promise<void> {
  const code = await run(process.argv.slice(2));
  process.stdout.write("", () => { // when all is written
    if (code === INTERRUPTED) process.kill(process.pid, "SIGINT"); // a thread that loads bears no clearing up
    else process.exit(code);
  });
}

/** Runs one command line and returns its exit code; errors become one line on stderr. */
export async function run(args: readonly string[]): Promise<number> {
  silenceWayland();
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort(new DOMException("Interrupted", "AbortError"));
  process.on("SIGINT", onInterrupt);
  try {
    const said = await answerOf(args);
    if (said !== undefined) process.stdout.write(said);
    else await runCommand(args, interrupt.signal);
    return 0;
  } catch (error) {
    return report(error, interrupt.signal);
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

/** What is said without running a command: usage or version. */
async function answerOf(args: readonly string[]): Promise<string | undefined> {
  const [name = "help"] = args;
  if (args.length === 1 && ["--version", "-V", "version"].includes(name)) return `${VERSION}\n`;
  const asked = args.some((arg) => arg === "--help" || arg === "-h");
  if (!asked && name !== "help") return undefined;
  const words = args.filter((arg) => arg !== "help" && !arg.startsWith("-"));
  const found = findCommand(words);
  if (found !== undefined) return usageOf((await found.load()).table);
  const listed = await Promise.all(groupOf(words).map(({ load }) => load()));
  return generalUsage(listOf(listed.map(({ table }) => table)));
}

async function runCommand(args: readonly string[], signal: AbortSignal): Promise<void> {
  const found = findCommand(args);
  if (found !== undefined) {
    const { run } = await found.load();
    return await run(args.slice(found.name.split(" ").length), signal);
  }
  const group = groupOf(args).map(({ name }) => name);
  const words = args.slice(0, group.length < COMMANDS.length ? 2 : 1).join(" ");
  throw new TypeError(
    `Cannot run invardiff: the command must be ${oneOf(group, words)} (--help lists them): ` +
      `current value is ${words}`,
  );
}

/** The command that the first words name: `plan show`, not `plan`. */
function findCommand(args: readonly string[]): CommandEntry | undefined {
  return COMMANDS.find(({ name }) => `${args.join(" ")} `.startsWith(`${name} `));
}

/** The commands of two words that the first word begins, else all. */
function groupOf([first]: readonly string[]): readonly CommandEntry[] {
  const group = COMMANDS.filter(({ name }) => name.startsWith(`${first} `));
  return group.length > 0 ? group : COMMANDS;
}

function generalUsage(list: string): string {
  return `usage: invardiff COMMAND [options]   (in a clone: deno task COMMAND [options])

${list}
"invardiff COMMAND --help" lists its options, "invardiff --version" tells the version.
`;
}

function report(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) {
    process.stderr.write("Interrupted: nothing was written\n");
    return INTERRUPTED;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`error: ${message.split("\n")[0]}\n`);
  return EXIT_CODES.find(([type]) => error instanceof type)?.[1] ?? 1;
}
