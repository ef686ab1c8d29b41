/** Runs a command line in this process and gives back what it said. */

import process from "node:process";
import { run } from "../../src/cli/main.ts";

/** A finished command. */
export interface CapturedRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `invardiff <args>`; nothing reaches the terminal. */
export async function capturedRun(...args: readonly string[]): Promise<CapturedRun> {
  const { stdout, stderr } = process;
  const written = { stdout: "", stderr: "" };
  const originals = { stdout: stdout.write, stderr: stderr.write };
  stdout.write = (text: string | Uint8Array): boolean => keep("stdout", text);
  stderr.write = (text: string | Uint8Array): boolean => keep("stderr", text);
  function keep(to: keyof typeof written, text: string | Uint8Array): boolean {
    written[to] += text;
    return true;
  }
  try {
    return { code: await run(args), ...written };
  } finally {
    stdout.write = originals.stdout;
    stderr.write = originals.stderr;
  }
}

/** A new folder that is removed after use. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Names of what lies in a folder, sorted. */
export function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}
