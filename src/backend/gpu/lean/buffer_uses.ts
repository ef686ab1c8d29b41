/**
 * Which commands of a recording read and write which buffers.
 */

import type { BindingFacts, Command, Dispatch } from "../command.ts";

/** What a command does to a buffer. */
export interface Use {
  /** Of the command. */
  readonly index: number;
  /** Whether it overwrites what was there; a runtime's shader that may write to a result writes all of it. */
  readonly written: boolean;
}

/** An index over commands. */
export class BufferUses {
  readonly #uses = new Map<GPUBuffer, Use[]>();

  /** `kept` are buffers that somebody reads after the commands. */
  constructor(
    readonly commands: readonly Command[],
    readonly kept: ReadonlySet<GPUBuffer>,
  ) {
    for (const [index, command] of commands.entries()) {
      for (const { buffer, written } of touched(command)) {
        const uses = this.#uses.get(buffer) ?? [];
        uses.push({ index, written });
        this.#uses.set(buffer, uses);
      }
    }
  }

  /** The first use of a buffer after a command. */
  after(buffer: GPUBuffer, index: number): Use | undefined {
    return this.#uses.get(buffer)?.find((use) => use.index > index);
  }

  /** The last use of a buffer before a command. */
  before(buffer: GPUBuffer, index: number): Use | undefined {
    return this.#uses.get(buffer)?.findLast((use) => use.index < index);
  }

  /** The only command that reads what this one wrote to a buffer; `undefined` where there are others. */
  onlyReader(buffer: GPUBuffer, index: number): Dispatch & { readonly index: number } | undefined {
    const first = this.after(buffer, index);
    if (first === undefined || first.written) return undefined;
    const next = this.after(buffer, first.index);
    if (next === undefined ? this.kept.has(buffer) : !next.written) return undefined;
    return this.dispatch(first.index);
  }

  /** A command, if it is a dispatch of one bind group. */
  dispatch(index: number): Dispatch & { readonly index: number } | undefined {
    const command = this.commands[index];
    return command?.kind === "dispatch" && command.groups.length === 1
      ? { ...command, index }
      : undefined;
  }
}

/** Buffers whose numbers a command reads or writes; uniforms are not among them. */
export function touched(command: Command): readonly Pick<BindingFacts, "buffer" | "written">[] {
  if (command.kind === "dispatch") {
    return command.groups.flatMap(({ bindings }) =>
      bindings.filter(({ content }) => content === undefined)
    );
  }
  const target = { buffer: command.target, written: true };
  return command.kind === "copy" ? [{ buffer: command.source, written: false }, target] : [target];
}
