/**
 * Reads a Dockerfile, as far as ours goes.
 */

/** An instruction and what stands behind its name. */
export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** What becomes an image, or is copied from. */
export interface Stage {
  readonly name: string;
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

/** Stages in order. */
export function parseDockerfile(text: string): readonly Stage[] {
  const lines = text.replaceAll(/^\s*#.*\n/gm, "").replaceAll("\\\n", " ").split("\n");
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [, name, text = ""] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (name === undefined) continue;
    if (name === "FROM") {
      const [from = "", , stage = ""] = text.split(/\s+/);
      stages.push({ name: stage, from, instructions: [] });
    } else stages.at(-1)!.instructions.push({ name, text: text.trim() }); // FROM comes first
  }
  return stages;
}

/** What the last instruction of a name says; empty where there is none. */
export function lastOf({ instructions }: Stage, name: string): string {
  return instructions.findLast((each) => each.name === name)?.text ?? "";
}
