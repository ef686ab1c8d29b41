/**
 * The commands of a run, with fewer of them that do the same: for replays, which nobody has to follow operator by operator.
 */

import type { Command } from "../command.ts";
import { BufferUses } from "./buffer_uses.ts";
import { fuseNorms } from "./norm_chains.ts";

/** Commands with the same results in kept buffers, bit for bit. */
export function leanCommands(
  device: GPUDevice,
  commands: readonly Command[],
  kept: ReadonlySet<GPUBuffer>,
): readonly Command[] {
  return fuseNorms(device, withoutClears(commands, kept), kept);
}

/** Leaves out zeros that are written over before anybody reads them: each would end a pass. */
function withoutClears(
  commands: readonly Command[],
  kept: ReadonlySet<GPUBuffer>,
): readonly Command[] {
  const uses = new BufferUses(commands, kept);
  return commands.filter((command, index) => {
    if (command.kind !== "clear" || kept.has(command.target)) return true;
    return uses.after(command.target, index)?.written === false;
  });
}
