/**
 * How a command is called, made of its table of options.
 */

import { type CommandTable, dashed, hintOf, type Option } from "./options.ts";

const LEFT = 28; // columns before the explanations: two more than the longest call
const WIDTH = 100;

/** The usage of one command, with a newline at its end. */
export function usageOf({ name, summary, options, notes }: CommandTable): string {
  const entries = Object.entries(options);
  const operands = entries.filter(([, { operand }]) => operand);
  const call = [name, ...operands.map(([, option]) => hintOf(option)), "[options]"].join(" ");
  const lines = entries.map(([key, option]) => rowOf(key, option));
  const end = notes === undefined ? [""] : ["", notes, ""];
  return [`usage: invardiff ${call}`, `       ${summary}`, "", ...lines, ...end].join("\n");
}

/** One line for each command, with a newline at its end. */
export function listOf(commands: readonly Pick<CommandTable, "name" | "summary">[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 3;
  return commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}\n`).join("");
}

/** An option and what it means, wrapped. */
function rowOf(name: string, option: Option<unknown>): string {
  const { help, or, operand, flag } = option;
  const hint = hintOf(option);
  const call = operand ? hint : `${dashed(name)} ${hint}`;
  const unless = or === undefined || flag ? "" : ` (${or})`;
  const lines = [""];
  for (const word of `${flag ? help : help.slice(hint.length + 2)}${unless}`.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trimStart();
    if (longer.length <= WIDTH - LEFT) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return `  ${call}`.padEnd(LEFT) + lines.join(`\n${" ".repeat(LEFT)}`);
}
