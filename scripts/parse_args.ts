/**
 * The options of scripts: `--help` lists them, and what is wrong is said in one line.
 */

import { parseArgs as parse, type ParseArgsConfig } from "node:util";

/** As `parseArgs` of node:util; ends the process, without a stack, where that would throw or help is wanted. */
export function parseArgs<const T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parse<T>> {
  if (Deno.args.includes("--help")) {
    console.log(usageOf(config));
    Deno.exit(0);
  }
  try {
    return parse(config);
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : error}`);
    Deno.exit(2);
  }
}

/** One line for each option, with its default. */
export function usageOf({ options = {} }: ParseArgsConfig): string {
  const lines = Object.entries(options).map(([name, option]) => {
    const call = option.type === "boolean" ? `--${name}` : `--${name} …`;
    return option.default === undefined ? call : `${call.padEnd(20)} (${option.default})`;
  });
  return ["options:", ...lines].join("\n  ");
}
