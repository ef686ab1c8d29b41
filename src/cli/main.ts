/**
 * The command line: `invardiff <command> [options]`.
 *
 * @module
 */

import process from "node:process";
import { AssetError, BackendError, PlanError } from "../errors.ts";
import { calibrate, CALIBRATE_USAGE } from "./calibrate.ts";
import { compare, COMPARE_USAGE } from "./compare.ts";
import { doctor, DOCTOR_USAGE } from "./doctor.ts";
import { FETCH_USAGE, fetchModel } from "./fetch.ts";
import { generate, GENERATE_USAGE } from "./generate.ts";
import { pack, PACK_USAGE } from "./pack.ts";
import { plan, PLAN_USAGE } from "./plan.ts";
import { serve, SERVE_USAGE } from "./serve.ts";

/** A command: its arguments in, its exit code out. */
type Command = (args: readonly string[], signal: AbortSignal) => Promise<void>;

const COMMANDS: Readonly<Record<string, Command>> = {
  generate,
  serve,
  fetch: fetchModel,
  calibrate,
  plan,
  compare,
  pack,
  doctor,
};

const USAGE = `usage: deno task <command> [options]

  generate   make pictures
  serve      an HTTP server with a page
  fetch      download a model into the cache
  calibrate  record a model and write a plan of what to reuse
  plan       look at, check, import, bind and export cache plans
  compare    measure a plan against full computation
  pack       write a model in fewer bytes, as a directory that opens like any other
  doctor     say what this machine offers and what --backend auto would choose

${GENERATE_USAGE}

${SERVE_USAGE}

${FETCH_USAGE}

${CALIBRATE_USAGE}

${PLAN_USAGE}

${COMPARE_USAGE}

${PACK_USAGE}

${DOCTOR_USAGE}`;

const INTERRUPTED = 130; // as shells report a process that SIGINT ended

/** Exit code of each class of error; the first that fits. */
const EXIT_CODES: readonly (readonly [new (...args: never[]) => Error, number])[] = [
  [AssetError, 3],
  [BackendError, 4],
  [PlanError, 5],
  [RangeError, 2],
  [TypeError, 2],
];

if (import.meta.main) {
  process.exitCode = await run(process.argv.slice(2));
}

/** Runs one command line and returns its exit code; errors become one line on stderr. */
export async function run(args: readonly string[]): Promise<number> {
  const [name = "", ...rest] = args;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined || rest.includes("--help")) {
    const asked = name === "" || [name, ...rest].some((arg) => arg === "--help" || arg === "help");
    (asked ? process.stdout : process.stderr).write(USAGE + "\n");
    return asked ? 0 : 2;
  }
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort(new DOMException("Interrupted", "AbortError"));
  process.on("SIGINT", onInterrupt);
  try {
    await command(rest, interrupt.signal);
    return 0;
  } catch (error) {
    return report(error, interrupt.signal);
  } finally {
    process.off("SIGINT", onInterrupt);
  }
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
